#include "wire/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/merkle.h"
#include "crypto/rng.h"

enum { NETWORK_MAX = 256, STEP_MS = 40, STEPS_MAX = 20000 };

// Messages on their way, in one direction each; it loses, repeats and reorders by a seed.
struct network {
    struct rng *rng;
    unsigned drop, repeat; // percent
    bool reorder;
    size_t n;
    struct {
        size_t slot; // where its bytes are
        size_t len;
        bool to_receiver;
    } message[NETWORK_MAX];
    size_t n_data; // DATA messages put in
};

struct pair {
    uint8_t *content;
    size_t len;
    uint8_t id[HASH_BYTES], hash[HASH_BYTES];
    FILE *spool;
    struct source *source;
    struct sender *sender;
    struct receiver *receiver;
    uint64_t now_ms;
};

static uint8_t out[BULK_BYTES_MAX];

static uint8_t slots[NETWORK_MAX][BULK_BYTES_MAX];

static bool slot_is_taken(const struct network *network, size_t slot)
{
    for (size_t i = 0; i < network->n; i++)
        if (network->message[i].slot == slot)
            return true;
    return false;
}

static void network_put(struct network *network, bool to_receiver, const uint8_t *bytes, size_t len)
{
    size_t slot = 0;

    if (network->n == NETWORK_MAX || rng_below(network->rng, 100) < network->drop)
        return;
    while (slot_is_taken(network, slot))
        slot++;
    memcpy(slots[slot], bytes, len);
    network->message[network->n].slot = slot;
    network->message[network->n].len = len;
    network->message[network->n].to_receiver = to_receiver;
    network->n++;
}

static void pair_open(struct pair *pair, size_t len, bool download)
{
    struct receiver_settings settings = {.max_bytes = 64 << 20, .fetch = download};
    uint64_t bytes = len;

    memset(pair, 0, sizeof *pair);
    assert_int_equal(rng_start(), CHOIR_OK);
    pair->len = len;
    pair->content = malloc(len);
    assert_non_null(pair->content);
    rng_bytes(pair->content, len);
    hash_bytes(pair->hash, pair->content, len);
    memcpy(pair->id, pair->hash, HASH_BYTES);
    pair->spool = tmpfile();
    assert_non_null(pair->spool);
    assert_int_equal(source_of_memory(pair->id, pair->content, len, &pair->source), CHOIR_OK);
    assert_int_equal(sender_new(pair->source, download, &pair->sender), CHOIR_OK);
    memcpy(settings.id, pair->id, HASH_BYTES);
    settings.fd = fileno(pair->spool);
    settings.bytes = download ? NULL : &bytes;
    settings.root = download ? NULL : source_root(pair->source);
    settings.content = pair->hash;
    assert_int_equal(receiver_new(&settings, &pair->receiver), CHOIR_OK);
    pair->now_ms = 1000;
}

static void pair_close(struct pair *pair)
{
    sender_free(pair->sender);
    receiver_free(pair->receiver);
    source_free(pair->source);
    fclose(pair->spool);
    free(pair->content);
}

static void assert_arrived(struct pair *pair)
{
    uint8_t *there = malloc(pair->len + 1);

    assert_non_null(there);
    assert_int_equal(receiver_state(pair->receiver), TRANSFER_DONE);
    assert_int_equal(pread(fileno(pair->spool), there, pair->len + 1, 0), pair->len);
    assert_memory_equal(there, pair->content, pair->len);
    free(there);
}

static void collect(struct pair *pair, struct network *network)
{
    size_t len = 0;

    while (sender_next(pair->sender, pair->now_ms, out, sizeof out, &len) == CHOIR_OK) {
        network->n_data += out[1] == BULK_DATA;
        network_put(network, true, out, len);
    }
    while (receiver_next(pair->receiver, pair->now_ms, out, sizeof out, &len) == CHOIR_OK)
        network_put(network, false, out, len);
}

static void deliver_one(struct pair *pair, struct network *network)
{
    size_t at = network->reorder ? rng_below(network->rng, network->n) : 0;
    bool keep = rng_below(network->rng, 100) < network->repeat;
    const uint8_t *bytes = slots[network->message[at].slot];
    struct bulk_message message;

    assert_int_equal(bulk_decode(bytes, network->message[at].len, &message), CHOIR_OK);
    if (network->message[at].to_receiver)
        assert_int_equal(receiver_take(pair->receiver, &message, pair->now_ms), CHOIR_OK);
    else
        assert_int_equal(sender_take(pair->sender, &message, pair->now_ms), CHOIR_OK);
    if (keep)
        return;
    network->n--;
    memmove(&network->message[at], &network->message[at + 1],
            (network->n - at) * sizeof network->message[0]);
}

static bool finished(const struct pair *pair)
{
    return receiver_state(pair->receiver) == TRANSFER_DONE &&
           sender_state(pair->sender) == TRANSFER_DONE;
}

// Runs until both sides are done; fails the test if that takes too long.
static void play(struct pair *pair, struct network *network)
{
    for (size_t step = 0; step < STEPS_MAX && !finished(pair); step++) {
        collect(pair, network);
        if (network->n > 0)
            deliver_one(pair, network);
        else
            pair->now_ms += STEP_MS;
        pair->now_ms += 1;
    }
    assert_true(finished(pair));
}

static struct network make_network(uint64_t seed, unsigned drop, unsigned repeat, bool reorder)
{
    struct network network = {.drop = drop, .repeat = repeat, .reorder = reorder};
    uint8_t bytes[RNG_SEED_BYTES] = {0};

    assert_int_equal(rng_start(), CHOIR_OK);
    memcpy(bytes, &seed, sizeof seed);
    assert_int_equal(rng_open_seeded("network", bytes, &network.rng), CHOIR_OK);
    return network;
}

static void network_close(struct network *network)
{
    rng_close(network->rng);
}

static void content_arrives_whatever_its_length(void **state)
{
    static const size_t lengths[] = {1,
                                     31,
                                     BULK_CHUNK_BYTES - 1,
                                     BULK_CHUNK_BYTES,
                                     BULK_CHUNK_BYTES + 1,
                                     64 * (size_t)BULK_CHUNK_BYTES,
                                     65 * (size_t)BULK_CHUNK_BYTES + 7};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
        struct network network = make_network(i, 0, 0, false);
        struct pair pair;

        pair_open(&pair, lengths[i / 2], i % 2 == 1);
        play(&pair, &network);
        assert_arrived(&pair);
        assert_int_equal(network.n_data, source_chunks(pair.source)); // nothing sent twice
        pair_close(&pair);
        network_close(&network);
    }
}

// As an aggregator does, which cannot know whether the site announced its vector before it could
// expect one: the site's OPEN and the FETCH cross.
static void an_upload_that_is_also_fetched_is_sent_once(void **state)
{
    struct network network = make_network(1, 0, 0, false);
    struct receiver_settings settings = {.max_bytes = 64 << 20, .fetch = true, .window = 12};
    struct pair pair;

    (void)state;
    pair_open(&pair, 5 * (size_t)BULK_CHUNK_BYTES, false);
    receiver_free(pair.receiver);
    memcpy(settings.id, pair.id, HASH_BYTES);
    settings.fd = fileno(pair.spool);
    settings.root = source_root(pair.source);
    assert_int_equal(receiver_new(&settings, &pair.receiver), CHOIR_OK);
    play(&pair, &network);
    assert_arrived(&pair);
    assert_int_equal(network.n_data, source_chunks(pair.source));
    pair_close(&pair);
    network_close(&network);
}

static void a_bad_network_only_slows_it_down(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct network network =
            make_network(seed, (unsigned)(seed % 4) * 10, (unsigned)(seed % 3) * 15, seed % 2 == 0);
        struct pair pair;

        pair_open(&pair, 9 * (size_t)BULK_CHUNK_BYTES + 100 * seed, seed % 5 == 0);
        play(&pair, &network);
        assert_arrived(&pair);
        pair_close(&pair);
        network_close(&network);
    }
}

static void a_new_connection_resumes_without_sending_again(void **state)
{
    struct network network = make_network(1, 0, 0, false);
    size_t in_flight, done;
    uint64_t bytes, arrived;
    struct pair pair;

    (void)state;
    pair_open(&pair, 40 * (size_t)BULK_CHUNK_BYTES, false);
    do {
        collect(&pair, &network);
        deliver_one(&pair, &network);
        receiver_progress(pair.receiver, &bytes, &arrived);
    } while (arrived < bytes / 2 || bytes == 0);
    done = network.n_data;
    in_flight = done - arrived / BULK_CHUNK_BYTES;
    network.n = 0;
    sender_reopen(pair.sender);
    receiver_reopen(pair.receiver);
    play(&pair, &network);
    assert_arrived(&pair);
    // one question may have been under way when the sender opened again
    assert_true(network.n_data <= 40 + in_flight + 1);
    pair_close(&pair);
    network_close(&network);
}

static void the_window_bounds_what_is_under_way(void **state)
{
    struct network network = make_network(1, 0, 0, false);
    struct pair pair;

    (void)state;
    pair_open(&pair, 60 * (size_t)BULK_CHUNK_BYTES, false);
    while (!finished(&pair)) {
        collect(&pair, &network);
        assert_true(network.n <= TRANSFER_WINDOW + 4);
        deliver_one(&pair, &network);
    }
    pair_close(&pair);
    network_close(&network);
}

static struct bulk_message message_from(enum choir_err (*next)(struct pair *pair, size_t *len),
                                        struct pair *pair)
{
    struct bulk_message message;
    size_t len = 0;

    assert_int_equal(next(pair, &len), CHOIR_OK);
    assert_int_equal(bulk_decode(out, len, &message), CHOIR_OK);
    return message;
}

static enum choir_err from_sender(struct pair *pair, size_t *len)
{
    return sender_next(pair->sender, pair->now_ms, out, sizeof out, len);
}

static enum choir_err from_receiver(struct pair *pair, size_t *len)
{
    return receiver_next(pair->receiver, pair->now_ms, out, sizeof out, len);
}

static void assert_refuses(struct pair *pair, enum bulk_refusal code)
{
    struct bulk_message answer = message_from(from_receiver, pair);

    assert_int_equal(answer.kind, BULK_REFUSED);
    assert_int_equal(answer.code, code);
    assert_int_equal(receiver_state(pair->receiver), TRANSFER_FAILED);
}

static void another_shape_than_announced_is_refused(void **state)
{
    struct pair pair;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct bulk_message open;

        pair_open(&pair, 3 * (size_t)BULK_CHUNK_BYTES, false);
        open = message_from(from_sender, &pair);
        assert_int_equal(open.kind, BULK_OPEN);
        if (i == 0)
            open.bytes--;
        else if (i == 1)
            open.bytes = BULK_CONTENT_MAX;
        else
            open.root[5] ^= 1;
        assert_int_equal(receiver_take(pair.receiver, &open, pair.now_ms), CHOIR_ERR_FORGED);
        assert_refuses(&pair, i == 1 ? BULK_TOO_BIG : BULK_MISMATCH);
        pair_close(&pair);
    }
}

static void hashes_that_do_not_give_the_root_are_refused(void **state)
{
    struct bulk_message message;
    struct pair pair;

    (void)state;
    pair_open(&pair, 3 * (size_t)BULK_CHUNK_BYTES, false);
    message = message_from(from_sender, &pair);
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_sender, &pair);
    assert_int_equal(message.kind, BULK_LEAVES);
    out[BULK_HEAD_BYTES + 8] ^= 1;
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_ERR_FORGED);
    assert_refuses(&pair, BULK_MISMATCH);
    pair_close(&pair);
}

static void a_changed_chunk_is_not_kept_and_asked_for_again(void **state)
{
    struct network network = make_network(1, 0, 0, false);
    struct bulk_message message;
    uint64_t bytes, arrived;
    struct pair pair;

    (void)state;
    pair_open(&pair, BULK_CHUNK_BYTES, false);
    message = message_from(from_sender, &pair);
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_receiver, &pair);
    assert_int_equal(message.kind, BULK_NEED);
    assert_int_equal(sender_take(pair.sender, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_sender, &pair);
    assert_int_equal(message.kind, BULK_DATA);
    out[BULK_DATA_AT + 77] ^= 1;
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_ERR_FORGED);
    receiver_progress(pair.receiver, &bytes, &arrived);
    assert_int_equal(arrived, 0);
    play(&pair, &network);
    assert_arrived(&pair);
    pair_close(&pair);
    network_close(&network);
}

static void a_download_whose_content_has_another_hash_is_refused(void **state)
{
    struct receiver_settings settings = {.max_bytes = 1 << 20, .fetch = true};
    uint8_t wrong[HASH_BYTES] = {1};
    struct bulk_message message;
    struct pair pair;

    (void)state;
    pair_open(&pair, 1000, true);
    receiver_free(pair.receiver);
    memcpy(settings.id, pair.id, HASH_BYTES);
    settings.fd = fileno(pair.spool);
    settings.content = wrong;
    assert_int_equal(receiver_new(&settings, &pair.receiver), CHOIR_OK);
    message = message_from(from_receiver, &pair);
    assert_int_equal(message.kind, BULK_FETCH);
    assert_int_equal(sender_take(pair.sender, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_sender, &pair);
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_receiver, &pair);
    assert_int_equal(sender_take(pair.sender, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_sender, &pair);
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_ERR_FORGED);
    assert_refuses(&pair, BULK_MISMATCH);
    pair_close(&pair);
}

static void questions_beyond_the_content_are_the_peers_fault(void **state)
{
    struct bulk_message need = {.kind = BULK_NEED, .first = 2, .bitmap = 3};
    struct bulk_message ask = {.kind = BULK_ASK, .first = 3};
    struct bulk_message data = {.kind = BULK_DATA, .first = 0, .n = 1};
    struct pair pair;

    (void)state;
    pair_open(&pair, 3 * (size_t)BULK_CHUNK_BYTES, false);
    assert_int_equal(sender_take(pair.sender, &need, pair.now_ms), CHOIR_ERR_PEER);
    assert_int_equal(sender_take(pair.sender, &ask, pair.now_ms), CHOIR_ERR_PEER);
    assert_int_equal(sender_take(pair.sender, &data, pair.now_ms), CHOIR_ERR_PEER);
    assert_int_equal(receiver_take(pair.receiver, &need, pair.now_ms), CHOIR_ERR_PEER);
    pair_close(&pair);
}

static void a_greedy_peer_gets_no_more_than_a_window(void **state)
{
    struct bulk_message need = {.kind = BULK_NEED, .first = 0, .bitmap = UINT64_MAX};
    size_t n_data = 0, len = 0;
    struct pair pair;

    (void)state;
    pair_open(&pair, 64 * (size_t)BULK_CHUNK_BYTES, true);
    assert_int_equal(sender_take(pair.sender, &need, pair.now_ms), CHOIR_OK);
    while (from_sender(&pair, &len) == CHOIR_OK)
        n_data++;
    assert_int_equal(n_data, TRANSFER_WINDOW_MAX);
    pair_close(&pair);
}

static void what_could_not_be_sent_is_given_again(void **state)
{
    uint8_t first[BULK_HEAD_BYTES];
    struct network network = make_network(1, 0, 0, false);
    struct pair pair;
    size_t len = 0;

    (void)state;
    pair_open(&pair, 5 * (size_t)BULK_CHUNK_BYTES, true);
    assert_int_equal(from_receiver(&pair, &len), CHOIR_OK);
    memcpy(first, out, sizeof first);
    assert_int_equal(from_receiver(&pair, &len), CHOIR_ERR_AGAIN);
    receiver_unsent(pair.receiver);
    assert_int_equal(from_receiver(&pair, &len), CHOIR_OK);
    assert_memory_equal(first, out, sizeof first);
    receiver_unsent(pair.receiver);
    for (int i = 0; i < 200 && !finished(&pair); i++) {
        if (from_sender(&pair, &len) == CHOIR_OK)
            sender_unsent(pair.sender);
        collect(&pair, &network);
        while (network.n > 0)
            deliver_one(&pair, &network);
    }
    assert_arrived(&pair);
    pair_close(&pair);
    network_close(&network);
}

static void a_refused_upload_can_be_opened_again(void **state)
{
    struct bulk_message no = {.kind = BULK_REFUSED, .code = BULK_UNKNOWN};
    struct network network = make_network(1, 0, 0, false);
    struct pair pair;
    size_t len = 0;

    (void)state;
    pair_open(&pair, 5 * (size_t)BULK_CHUNK_BYTES, false);
    assert_int_equal(from_sender(&pair, &len), CHOIR_OK);
    assert_int_equal(sender_take(pair.sender, &no, pair.now_ms), CHOIR_OK);
    assert_int_equal(sender_state(pair.sender), TRANSFER_FAILED);
    assert_int_equal(from_sender(&pair, &len), CHOIR_ERR_AGAIN);
    sender_reopen(pair.sender);
    play(&pair, &network);
    assert_arrived(&pair);
    pair_close(&pair);
    network_close(&network);
}

static void a_full_disk_fails_the_transfer(void **state)
{
    struct receiver_settings settings = {.max_bytes = 1 << 20};
    struct bulk_message message;
    struct pair pair;
    FILE *full = fopen("/dev/full", "r+");

    (void)state;
    if (full == NULL)
        skip();
    pair_open(&pair, 1000, false);
    receiver_free(pair.receiver);
    memcpy(settings.id, pair.id, HASH_BYTES);
    settings.fd = fileno(full);
    settings.root = source_root(pair.source);
    assert_int_equal(receiver_new(&settings, &pair.receiver), CHOIR_OK);
    message = message_from(from_sender, &pair);
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_receiver, &pair);
    assert_int_equal(sender_take(pair.sender, &message, pair.now_ms), CHOIR_OK);
    message = message_from(from_sender, &pair);
    assert_int_equal(receiver_take(pair.receiver, &message, pair.now_ms), CHOIR_ERR_IO);
    assert_refuses(&pair, BULK_FAILED);
    pair_close(&pair);
    fclose(full);
}

static void a_file_and_its_bytes_make_the_same_source(void **state)
{
    struct source *from_file = NULL, *none = NULL;
    FILE *file = tmpfile();
    struct pair pair;

    (void)state;
    assert_non_null(file);
    pair_open(&pair, 2 * (size_t)BULK_CHUNK_BYTES + 5, false);
    assert_int_equal(source_of_fd(pair.id, fileno(file), &none), CHOIR_ERR_FORMAT); // empty
    assert_int_equal(fwrite(pair.content, 1, pair.len, file), pair.len);
    fflush(file);
    assert_int_equal(source_of_fd(pair.id, fileno(file), &from_file), CHOIR_OK);
    assert_memory_equal(source_root(from_file), source_root(pair.source), HASH_BYTES);
    assert_int_equal(source_bytes(from_file), pair.len);
    sender_free(pair.sender);
    assert_int_equal(sender_new(from_file, false, &pair.sender), CHOIR_OK);
    struct network network = make_network(1, 0, 0, false);
    play(&pair, &network);
    assert_arrived(&pair);
    pair_close(&pair);
    source_free(from_file);
    network_close(&network);
    fclose(file);
}

static void what_is_under_way_does_not_grow_with_the_sites(void **state)
{
    (void)state;
    assert_int_equal(transfer_window(1), TRANSFER_WINDOW);
    for (size_t n = 1; n <= TRANSFER_UNDER_WAY; n++)
        assert_in_range(n * transfer_window(n), 1, TRANSFER_UNDER_WAY);
    assert_int_equal(transfer_window(1000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_under_way_does_not_grow_with_the_sites),
        cmocka_unit_test(content_arrives_whatever_its_length),
        cmocka_unit_test(an_upload_that_is_also_fetched_is_sent_once),
        cmocka_unit_test(a_bad_network_only_slows_it_down),
        cmocka_unit_test(a_new_connection_resumes_without_sending_again),
        cmocka_unit_test(the_window_bounds_what_is_under_way),
        cmocka_unit_test(another_shape_than_announced_is_refused),
        cmocka_unit_test(hashes_that_do_not_give_the_root_are_refused),
        cmocka_unit_test(a_changed_chunk_is_not_kept_and_asked_for_again),
        cmocka_unit_test(a_download_whose_content_has_another_hash_is_refused),
        cmocka_unit_test(questions_beyond_the_content_are_the_peers_fault),
        cmocka_unit_test(a_greedy_peer_gets_no_more_than_a_window),
        cmocka_unit_test(what_could_not_be_sent_is_given_again),
        cmocka_unit_test(a_refused_upload_can_be_opened_again),
        cmocka_unit_test(a_full_disk_fails_the_transfer),
        cmocka_unit_test(a_file_and_its_bytes_make_the_same_source),
    };

    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
