#include "wire/link.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <czmq.h>

#include "base/now.h"
#include "tests/wire/federation.h"
#include "wire/transfer.h"

enum { PATIENCE_MS = 10000 };

static struct federation federation;
static struct link *server;

static struct link_settings server_settings(void)
{
    return (struct link_settings){
        .roster = &federation.roster,
        .curve_secret = federation.aggregator.curve_secret,
        .control = "tcp://127.0.0.1:*",
        .bulk = "tcp://127.0.0.1:*",
    };
}

static int open_server(void **state)
{
    struct link_settings settings;

    (void)state;
    make_federation(&federation);
    settings = server_settings();
    return link_listen(&settings, NULL, &server) == CHOIR_OK ? 0 : -1;
}

static int close_server(void **state)
{
    (void)state;
    link_close(server);
    server = NULL;
    roster_release(&federation.roster);
    return 0;
}

static struct link *connect_with(const uint8_t *curve_secret, const struct roster *roster)
{
    struct link_settings settings = {
        .roster = roster,
        .curve_secret = curve_secret,
        .control = link_endpoint(server, LINK_CONTROL),
        .bulk = link_endpoint(server, LINK_BULK),
        .reconnect_ms = 50,
        .reconnect_max_ms = 200,
    };
    struct link *client = NULL;

    assert_int_equal(link_connect(&settings, NULL, &client), CHOIR_OK);
    return client;
}

static struct link *connect_site(size_t i)
{
    return connect_with(federation.site[i].curve_secret, &federation.roster);
}

// Runs both ends until `wanted` shows up at `link`; fails the test after PATIENCE_MS.
static struct link_event await(struct link *link, struct link *other, enum link_event_kind wanted)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    struct link_event event = {0};

    while (now_ms() < end) {
        if (other != NULL)
            assert_int_equal(link_next(other, 0, &event), CHOIR_OK);
        assert_int_equal(link_next(link, 5, &event), CHOIR_OK);
        if (event.kind == wanted)
            return event;
    }
    fail_msg("event %d did not come", (int)wanted);
    return event;
}

// True if nothing of `kind` comes to `link` for a while.
static bool stays_silent(struct link *link, struct link *other, enum link_event_kind kind)
{
    uint64_t end = now_ms() + 300;
    struct link_event event = {0};

    while (now_ms() < end) {
        assert_int_equal(link_next(other, 0, &event), CHOIR_OK);
        assert_int_equal(link_next(link, 5, &event), CHOIR_OK);
        if (event.kind == kind)
            return false;
    }
    return true;
}

static void both_up(struct link *client)
{
    (void)await(client, server, LINK_UP);
    (void)await(client, server, LINK_UP);
}

static void say(struct link *link, uint32_t site, enum link_channel channel, const char *text)
{
    assert_int_equal(link_send(link, site, channel, (const uint8_t *)text, strlen(text)), CHOIR_OK);
}

static void hear(struct link *link, struct link *other, uint32_t site, enum link_channel channel,
                 const char *text)
{
    struct link_event event = await(link, other, LINK_MESSAGE);

    assert_int_equal(event.site, site);
    assert_int_equal(event.channel, channel);
    assert_int_equal(event.len, strlen(text));
    assert_memory_equal(event.bytes, text, event.len);
}

static void sites_are_told_apart_by_their_keys(void **state)
{
    struct link *north = connect_site(0), *west = connect_site(2);

    (void)state;
    both_up(north);
    both_up(west);
    say(north, ROSTER_AGGREGATOR, LINK_CONTROL, "I am west, believe me");
    hear(server, north, 1, LINK_CONTROL, "I am west, believe me");
    say(west, ROSTER_AGGREGATOR, LINK_BULK, "chunk");
    hear(server, west, 3, LINK_BULK, "chunk");
    say(server, 3, LINK_CONTROL, "hello west");
    say(server, 1, LINK_BULK, "hello north");
    hear(west, server, ROSTER_AGGREGATOR, LINK_CONTROL, "hello west");
    hear(north, server, ROSTER_AGGREGATOR, LINK_BULK, "hello north");
    link_close(north);
    link_close(west);
}

static void bytes_are_counted_on_both_sides(void **state)
{
    struct link *north = connect_site(0);
    struct link_counts up, down;

    (void)state;
    both_up(north);
    say(north, ROSTER_AGGREGATOR, LINK_CONTROL, "12345");
    hear(server, north, 1, LINK_CONTROL, "12345");
    say(server, 1, LINK_CONTROL, "123");
    hear(north, server, ROSTER_AGGREGATOR, LINK_CONTROL, "123");
    link_count(north, &up);
    link_count(server, &down);
    assert_int_equal(up.sent_bytes, 5);
    assert_int_equal(up.received_bytes, 3);
    assert_int_equal(down.sent_bytes, 3);
    assert_int_equal(down.received_bytes, 5);
    link_close(north);
}

static void an_unknown_key_is_refused_and_told_so(void **state)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];
    struct link *stranger;
    const uint8_t byte = 1;

    (void)state;
    curve_keypair(public_key, secret_key);
    stranger = connect_with(secret_key, &federation.roster);
    (void)await(stranger, server, LINK_REFUSED);
    assert_int_equal(link_send(stranger, ROSTER_AGGREGATOR, LINK_CONTROL, &byte, 1),
                     CHOIR_ERR_AGAIN);
    (void)await(server, stranger, LINK_INTRUDER);
    assert_true(stays_silent(server, stranger, LINK_MESSAGE));
    link_close(stranger);
}

static void a_site_enrolled_later_gets_in_without_a_restart(void **state)
{
    struct roster_site site;
    struct party party;
    struct link *east;
    uint32_t id = 0;

    (void)state;
    make_site(&site, &party, "east");
    east = connect_with(party.curve_secret, &federation.roster);
    (void)await(east, server, LINK_REFUSED);
    assert_int_equal(roster_add(&federation.roster, &site, &id), CHOIR_OK);
    assert_int_equal(link_set_roster(server, &federation.roster), CHOIR_OK);
    both_up(east);
    say(east, ROSTER_AGGREGATOR, LINK_CONTROL, "at last");
    hear(server, east, id, LINK_CONTROL, "at last");
    link_close(east);
}

static void another_aggregators_key_is_seen(void **state)
{
    struct roster other;
    uint8_t secret_key[CURVE_KEY_BYTES];
    struct link *north;

    (void)state;
    assert_int_equal(roster_copy(&federation.roster, &other), CHOIR_OK);
    curve_keypair(other.aggregator.curve_key, secret_key);
    north = connect_with(federation.site[0].curve_secret, &other);
    (void)await(north, server, LINK_WRONG_KEY);
    link_close(north);
    roster_release(&other);
}

static void a_site_taken_off_the_roster_is_not_heard_any_more(void **state)
{
    struct link *west = connect_site(2);
    struct roster smaller;

    (void)state;
    both_up(west);
    say(west, ROSTER_AGGREGATOR, LINK_CONTROL, "one");
    hear(server, west, 3, LINK_CONTROL, "one");
    assert_int_equal(roster_copy(&federation.roster, &smaller), CHOIR_OK);
    smaller.n_sites = 2;
    smaller.epoch = 2;
    assert_int_equal(link_set_roster(server, &smaller), CHOIR_OK);
    say(west, ROSTER_AGGREGATOR, LINK_CONTROL, "two");
    assert_true(stays_silent(server, west, LINK_MESSAGE));
    assert_int_equal(link_send(server, 3, LINK_CONTROL, (const uint8_t *)"x", 1), CHOIR_ERR_PEER);
    link_close(west);
    roster_release(&smaller);
}

static void a_key_that_changed_under_the_same_id_is_not_heard(void **state)
{
    struct link *west = connect_site(2);
    struct roster renewed;
    uint8_t secret_key[CURVE_KEY_BYTES];

    (void)state;
    both_up(west);
    assert_int_equal(roster_copy(&federation.roster, &renewed), CHOIR_OK);
    curve_keypair(renewed.sites[2].curve_key, secret_key);
    assert_int_equal(link_set_roster(server, &renewed), CHOIR_OK);
    say(west, ROSTER_AGGREGATOR, LINK_CONTROL, "still me");
    assert_true(stays_silent(server, west, LINK_MESSAGE));
    link_close(west);
    roster_release(&renewed);
}

static void an_expired_roster_opens_nothing(void **state)
{
    struct roster expired = federation.roster;
    struct link_settings settings = server_settings();
    struct choir_diag diag = {0};
    struct link *none = NULL;

    (void)state;
    expired.expires = now_unix() - 1;
    settings.roster = &expired;
    assert_int_equal(link_listen(&settings, &diag, &none), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "expired"));
    settings.curve_secret = federation.site[0].curve_secret;
    assert_int_equal(link_connect(&settings, &diag, &none), CHOIR_ERR_REFUSED);
}

static void a_roster_that_expires_shuts_the_gate(void **state)
{
    struct link *north = connect_site(0), *west;
    struct roster expired;

    (void)state;
    both_up(north);
    assert_int_equal(roster_copy(&federation.roster, &expired), CHOIR_OK);
    expired.expires = now_unix() - 1;
    assert_int_equal(link_set_roster(server, &expired), CHOIR_OK);
    say(north, ROSTER_AGGREGATOR, LINK_CONTROL, "too late");
    assert_true(stays_silent(server, north, LINK_MESSAGE));
    west = connect_site(2);
    (void)await(west, server, LINK_REFUSED);
    link_close(north);
    link_close(west);
    roster_release(&expired);
}

static void a_busy_address_is_named(void **state)
{
    char control[ROSTER_ENDPOINT_MAX];
    struct link_settings settings = server_settings();
    struct choir_diag diag = {0};
    struct link *none = NULL;
    zsock_t *squatter = zsock_new(ZMQ_REP);
    int port = zsock_bind(squatter, "tcp://127.0.0.1:*");

    (void)state;
    link_close(server);
    server = NULL;
    snprintf(control, sizeof control, "tcp://127.0.0.1:%d", port);
    settings.control = control;
    assert_int_equal(link_listen(&settings, &diag, &none), CHOIR_ERR_IO);
    assert_string_equal(diag.place, control);
    assert_non_null(strstr(diag.message, "in use"));
    zsock_destroy(&squatter);
}

static void only_numeric_tcp_is_opened(void **state)
{
    static const char *const bad[] = {
        "ipc:///tmp/x", "inproc://x",           "tcp://localhost:7101",  "tcp://127.0.0.1",
        "udp://x:1",    "tcp://127.0.0.1:0",    "tcp://127.0.0.1:65536", "pgm://eth0;239.0.0.1:1",
        "tcp://",       "tcp://eth0;1.2.3.4:5", "tcp://[::1:5",          "",
    };
    struct link_settings settings = server_settings();
    struct link *none = NULL;

    (void)state;
    settings.curve_secret = federation.site[0].curve_secret;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        settings.control = bad[i];
        assert_int_equal(link_connect(&settings, NULL, &none), CHOIR_ERR_FORMAT);
    }
}

static void a_second_listening_link_is_refused(void **state)
{
    struct link_settings settings = server_settings();
    struct link *none = NULL;

    (void)state;
    assert_int_equal(link_listen(&settings, NULL, &none), CHOIR_ERR_IO);
}

static void the_wrong_transport_key_does_not_listen(void **state)
{
    struct link_settings settings = server_settings();
    struct link *none = NULL;

    (void)state;
    settings.curve_secret = federation.site[0].curve_secret;
    assert_int_equal(link_listen(&settings, NULL, &none), CHOIR_ERR_FORMAT);
}

static void the_largest_messages_pass_and_larger_ones_do_not(void **state)
{
    struct link *north = connect_site(0);
    uint8_t *big = calloc(1, LINK_CONTROL_MAX + 1);
    struct link_event event = {0};

    (void)state;
    assert_non_null(big);
    both_up(north);
    assert_int_equal(
        link_send(north, ROSTER_AGGREGATOR, LINK_CONTROL, big, LINK_CONTROL_UP_MAX + 1),
        CHOIR_ERR_FORMAT);
    assert_int_equal(link_send(north, ROSTER_AGGREGATOR, LINK_BULK, big, LINK_BULK_MAX + 1),
                     CHOIR_ERR_FORMAT);
    assert_int_equal(link_send(north, ROSTER_AGGREGATOR, LINK_CONTROL, big, LINK_CONTROL_UP_MAX),
                     CHOIR_OK);
    event = await(server, north, LINK_MESSAGE);
    assert_int_equal(event.len, LINK_CONTROL_UP_MAX);
    assert_int_equal(link_send(server, 1, LINK_CONTROL, big, LINK_CONTROL_MAX + 1),
                     CHOIR_ERR_FORMAT);
    assert_int_equal(link_send(server, 1, LINK_CONTROL, big, LINK_CONTROL_MAX), CHOIR_OK);
    event = await(north, server, LINK_MESSAGE);
    assert_int_equal(event.len, LINK_CONTROL_MAX);
    assert_int_equal(link_send(north, ROSTER_AGGREGATOR, LINK_BULK, big, LINK_BULK_MAX), CHOIR_OK);
    event = await(server, north, LINK_MESSAGE);
    assert_int_equal(event.len, LINK_BULK_MAX);
    free(big);
    link_close(north);
}

static zsock_t *raw_dealer(size_t site)
{
    uint8_t public_key[CURVE_KEY_BYTES];
    zsock_t *raw = zsock_new(ZMQ_DEALER);
    void *handle = zsock_resolve(raw);

    curve_public(public_key, federation.site[site].curve_secret);
    zmq_setsockopt(handle, ZMQ_CURVE_SERVERKEY, federation.roster.aggregator.curve_key, 32);
    zmq_setsockopt(handle, ZMQ_CURVE_PUBLICKEY, public_key, 32);
    zmq_setsockopt(handle, ZMQ_CURVE_SECRETKEY, federation.site[site].curve_secret, 32);
    return raw;
}

static void an_oversized_frame_of_an_enrolled_site_is_cut_off(void **state)
{
    zsock_t *raw = raw_dealer(0);
    struct link *west = connect_site(2);
    const size_t size = LINK_CONTROL_MAX / 2; // what the aggregator may send, not a site
    uint8_t *big = calloc(1, size);

    (void)state;
    assert_non_null(big);
    both_up(west);
    assert_int_equal(zsock_connect(raw, "%s", link_endpoint(server, LINK_CONTROL)), 0);
    assert_int_equal(zmq_send(zsock_resolve(raw), big, size, 0), size);
    assert_true(stays_silent(server, west, LINK_MESSAGE));
    say(west, ROSTER_AGGREGATOR, LINK_CONTROL, "not disturbed");
    hear(server, west, 3, LINK_CONTROL, "not disturbed");
    zsock_destroy(&raw);
    free(big);
    link_close(west);
}

static void messages_of_many_parts_and_chosen_routes_are_dropped(void **state)
{
    zsock_t *parts = raw_dealer(0), *route = raw_dealer(1);
    struct link *west = connect_site(2);

    (void)state;
    both_up(west);
    zsock_set_identity(route, "south");
    assert_int_equal(zsock_connect(parts, "%s", link_endpoint(server, LINK_CONTROL)), 0);
    assert_int_equal(zsock_connect(route, "%s", link_endpoint(server, LINK_CONTROL)), 0);
    zstr_sendx(parts, "one", "two", "three", NULL);
    zstr_sendx(route, "lengthy route", NULL);
    zstr_sendx(route, "two", "parts", NULL);
    // "south" has five bytes like a route that the socket gives: the message itself is fine
    say(west, ROSTER_AGGREGATOR, LINK_CONTROL, "still here");
    for (int i = 0; i < 2; i++) {
        struct link_event event = await(server, west, LINK_MESSAGE);

        assert_true(event.site == 2 || event.site == 3);
    }
    assert_true(stays_silent(server, west, LINK_MESSAGE));
    zsock_destroy(&parts);
    zsock_destroy(&route);
    link_close(west);
}

static void a_site_that_left_is_reported_when_written_to(void **state)
{
    struct link *north = connect_site(0);
    uint64_t end = now_ms() + PATIENCE_MS;
    enum choir_err err = CHOIR_OK;
    struct link_event event = {0};

    (void)state;
    both_up(north);
    say(north, ROSTER_AGGREGATOR, LINK_CONTROL, "bye");
    hear(server, north, 1, LINK_CONTROL, "bye");
    link_close(north);
    while (err == CHOIR_OK && now_ms() < end) {
        assert_int_equal(link_next(server, 20, &event), CHOIR_OK);
        err = link_send(server, 1, LINK_CONTROL, (const uint8_t *)"x", 1);
    }
    assert_int_equal(err, CHOIR_ERR_PEER);
    assert_int_equal(link_send(server, 2, LINK_CONTROL, (const uint8_t *)"x", 1), CHOIR_ERR_PEER);
}

static void other_descriptors_wake_the_loop(void **state)
{
    int ends[2];
    struct link_event event = {0};

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(link_watch(server, ends[0]), CHOIR_OK);
    assert_int_equal(link_next(server, 10, &event), CHOIR_OK);
    assert_int_equal(event.kind, LINK_TIMEOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    event = await(server, NULL, LINK_READABLE);
    assert_int_equal(event.fd, ends[0]);
    link_unwatch(server, ends[0]);
    assert_int_equal(link_next(server, 10, &event), CHOIR_OK);
    assert_int_equal(event.kind, LINK_TIMEOUT);
    close(ends[0]);
    close(ends[1]);
}

static volatile sig_atomic_t n_alarms;

static void on_alarm(int number)
{
    (void)number;
    n_alarms++;
}

static void signals_stay_the_programs_own(void **state)
{
    struct sigaction mine = {.sa_handler = on_alarm}, now;
    struct link_event event = {0};
    uint64_t before = now_ms();
    struct link *north;

    (void)state;
    sigaction(SIGALRM, &mine, NULL);
    sigaction(SIGTERM, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    sigaction(SIGTERM, &mine, NULL);
    north = connect_site(0);
    sigaction(SIGTERM, NULL, &now);
    assert_true(now.sa_handler == on_alarm);
    mine.sa_handler = SIG_DFL;
    sigaction(SIGTERM, &mine, NULL);
    link_close(north);
    alarm(1);
    while (n_alarms == 0 && now_ms() - before < PATIENCE_MS)
        assert_int_equal(link_next(server, 20000, &event), CHOIR_OK);
    assert_int_equal(event.kind, LINK_TIMEOUT);
    assert_int_equal(n_alarms, 1);
}

static void a_restarted_aggregator_is_found_again(void **state)
{
    struct link *north = connect_site(0);
    char control[ROSTER_ENDPOINT_MAX], bulk[ROSTER_ENDPOINT_MAX];
    struct link_settings settings = server_settings();
    uint64_t end = now_ms() + PATIENCE_MS;

    (void)state;
    both_up(north);
    snprintf(control, sizeof control, "%s", link_endpoint(server, LINK_CONTROL));
    snprintf(bulk, sizeof bulk, "%s", link_endpoint(server, LINK_BULK));
    link_close(server);
    server = NULL;
    (void)await(north, NULL, LINK_DOWN);
    settings.control = control;
    settings.bulk = bulk;
    while (link_listen(&settings, NULL, &server) != CHOIR_OK && now_ms() < end)
        usleep(10000); // the old socket is closed in the background
    assert_non_null(server);
    both_up(north);
    say(north, ROSTER_AGGREGATOR, LINK_CONTROL, "back");
    hear(server, north, 1, LINK_CONTROL, "back");
    link_close(north);
}

// One step of an upload over `site`, the link of a site.
// Which chunks were handed out since it was last cleared.
static bool handed_out[64];

static void note_chunk(const uint8_t *bytes, size_t len)
{
    struct bulk_message message;

    assert_int_equal(bulk_decode(bytes, len, &message), CHOIR_OK);
    if (message.kind == BULK_DATA)
        handed_out[message.first] = true;
}

static void pump_sender(struct link *site, struct sender *sender)
{
    static uint8_t out[BULK_BYTES_MAX];
    struct bulk_message message;
    struct link_event event = {0};
    size_t len = 0;

    assert_int_equal(link_next(site, 1, &event), CHOIR_OK);
    if (event.kind == LINK_UP && event.channel == LINK_BULK)
        sender_reopen(sender);
    if (event.kind == LINK_MESSAGE) {
        assert_int_equal(bulk_decode(event.bytes, event.len, &message), CHOIR_OK);
        assert_int_equal(sender_take(sender, &message, now_ms()), CHOIR_OK);
    }
    while (sender_next(sender, now_ms(), out, sizeof out, &len) == CHOIR_OK) {
        if (link_send(site, ROSTER_AGGREGATOR, LINK_BULK, out, len) != CHOIR_OK) {
            sender_unsent(sender);
            break;
        }
        note_chunk(out, len);
    }
}

static void pump_receiver(struct receiver *receiver)
{
    static uint8_t out[BULK_BYTES_MAX];
    struct bulk_message message;
    struct link_event event = {0};
    size_t len = 0;

    assert_int_equal(link_next(server, 1, &event), CHOIR_OK);
    if (event.kind == LINK_MESSAGE) {
        assert_int_equal(bulk_decode(event.bytes, event.len, &message), CHOIR_OK);
        assert_int_equal(receiver_take(receiver, &message, now_ms()), CHOIR_OK);
    }
    while (receiver_next(receiver, now_ms(), out, sizeof out, &len) == CHOIR_OK)
        if (link_send(server, 1, LINK_BULK, out, len) != CHOIR_OK) {
            receiver_unsent(receiver);
            break;
        }
}

static void a_big_upload_survives_a_new_connection(void **state)
{
    const size_t len = 60 * (size_t)BULK_CHUNK_BYTES + 3;
    uint8_t id[HASH_BYTES], *content = malloc(len), *there = malloc(len);
    struct receiver_settings settings = {.max_bytes = 64 << 20};
    uint64_t bytes = 0, arrived = 0, end = now_ms() + 3 * (uint64_t)PATIENCE_MS;
    size_t again = 0;
    struct link *north = connect_site(0);
    struct source *source = NULL;
    struct sender *sender = NULL;
    struct receiver *receiver = NULL;
    FILE *spool = tmpfile();

    (void)state;
    assert_true(content != NULL && there != NULL && spool != NULL);
    rng_bytes(content, len);
    hash_bytes(id, content, len);
    assert_int_equal(source_of_memory(id, content, len, &source), CHOIR_OK);
    assert_int_equal(sender_new(source, false, &sender), CHOIR_OK);
    memcpy(settings.id, id, sizeof id);
    settings.fd = fileno(spool);
    settings.root = source_root(source);
    assert_int_equal(receiver_new(&settings, &receiver), CHOIR_OK);
    while ((bytes == 0 || arrived < bytes / 2) && now_ms() < end) {
        pump_sender(north, sender);
        pump_receiver(receiver);
        receiver_progress(receiver, &bytes, &arrived);
    }
    link_close(north); // with chunks under way
    memset(handed_out, 0, sizeof handed_out);
    north = connect_site(0);
    while (sender_state(sender) != TRANSFER_DONE && now_ms() < end) {
        pump_sender(north, sender);
        pump_receiver(receiver);
    }
    assert_int_equal(receiver_state(receiver), TRANSFER_DONE);
    assert_int_equal(pread(fileno(spool), there, len, 0), len);
    assert_memory_equal(there, content, len);
    for (size_t i = 0; i < bulk_chunks(len); i++)
        again += handed_out[i];
    assert_true(again <= bulk_chunks(len) - arrived / BULK_CHUNK_BYTES); // what was here stayed
    link_close(north);
    sender_free(sender);
    receiver_free(receiver);
    source_free(source);
    fclose(spool);
    free(content);
    free(there);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sites_are_told_apart_by_their_keys),
        TEST(bytes_are_counted_on_both_sides),
        TEST(an_unknown_key_is_refused_and_told_so),
        TEST(a_site_enrolled_later_gets_in_without_a_restart),
        TEST(another_aggregators_key_is_seen),
        TEST(a_site_taken_off_the_roster_is_not_heard_any_more),
        TEST(a_key_that_changed_under_the_same_id_is_not_heard),
        TEST(an_expired_roster_opens_nothing),
        TEST(a_roster_that_expires_shuts_the_gate),
        TEST(a_busy_address_is_named),
        TEST(only_numeric_tcp_is_opened),
        TEST(a_second_listening_link_is_refused),
        TEST(the_wrong_transport_key_does_not_listen),
        TEST(the_largest_messages_pass_and_larger_ones_do_not),
        TEST(an_oversized_frame_of_an_enrolled_site_is_cut_off),
        TEST(messages_of_many_parts_and_chosen_routes_are_dropped),
        TEST(a_site_that_left_is_reported_when_written_to),
        TEST(other_descriptors_wake_the_loop),
        TEST(signals_stay_the_programs_own),
        TEST(a_restarted_aggregator_is_found_again),
        TEST(a_big_upload_survives_a_new_connection),
    };

    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
