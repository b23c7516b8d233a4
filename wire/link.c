#include "wire/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "base/now.h"
#include "crypto/rng.h"
#include "wire/link_state.h"
#include "wire/selftest.h"

enum {
    RECONNECT_MS = 500,
    RECONNECT_MAX_MS = 60000,
    CONTROL_QUEUE = 64,
    BULK_QUEUE = 24, // above the credits of a transfer, so that it never fills
    HELLO_MS = 20,   // how soon a greeting that could not be sent is tried again
    WAIT_MAX = LINK_WATCH_MAX + 1 + 2 * LINK_CHANNELS,
};

static const int queue[LINK_CHANNELS] = {CONTROL_QUEUE, BULK_QUEUE};

// Control letters of a whole relay's sites come through one connection.
static int queue_of(const struct link *link, enum link_channel channel)
{
    size_t sites = link->crowd && channel == LINK_CONTROL ? 2 * link->roster.n_sites : 0;

    return queue[channel] + (int)sites;
}

static enum choir_err link_new(const struct link_settings *settings, struct choir_diag *diag,
                               struct link **out)
{
    struct link *link;

    if (!roster_is_current(settings->roster, now_unix())) {
        diag_set(diag, CHOIR_ERR_REFUSED, settings->roster->name,
                 "the roster is not valid today (expired or not yet valid)");
        return CHOIR_ERR_REFUSED;
    }
    if (door_of(settings->roster, settings->listener).curve_key == NULL) {
        diag_set(diag, CHOIR_ERR_FORMAT, settings->roster->name,
                 "there is no such relay on the roster");
        return CHOIR_ERR_FORMAT;
    }
    link = calloc(1, sizeof *link);
    if (link == NULL)
        return CHOIR_ERR_MEMORY;
    zmq_msg_init(&link->message);
    if (roster_copy(settings->roster, &link->roster) != CHOIR_OK) {
        link_close(link);
        return CHOIR_ERR_MEMORY;
    }
    link->listener = settings->listener;
    link->crowd =
        settings->relay || (settings->listener == ROSTER_AGGREGATOR && link->roster.n_relays > 0);
    plug_prepare();
    *out = link;
    return CHOIR_OK;
}

static enum choir_err listen_on(struct link *link, const struct link_settings *settings,
                                enum link_channel channel, struct choir_diag *diag)
{
    const char *wanted = door_endpoint(settings, channel);
    uint8_t public_key[CURVE_KEY_BYTES];
    const struct plug_settings plug = {
        .endpoint = wanted,
        .public_key = public_key,
        .secret_key = settings->curve_secret,
        .message_max = link_largest(link, channel, true),
        .queue = queue_of(link, channel),
    };
    size_t len = sizeof link->endpoint[channel];
    enum choir_err err;

    if (!endpoint_is_listenable(wanted))
        return diag_set(diag, CHOIR_ERR_FORMAT, wanted,
                        "not an address to listen on: tcp://NUMBER:PORT is expected");
    curve_public(public_key, settings->curve_secret);
    err = plug_listen(&plug, &link->plug[channel]);
    if (err != CHOIR_OK)
        return diag_set(diag, err, wanted, "cannot listen on %s: %s", wanted, zmq_strerror(errno));
    if (zmq_getsockopt(plug_socket(&link->plug[channel]), ZMQ_LAST_ENDPOINT,
                       link->endpoint[channel], &len) != 0)
        return diag_set(diag, CHOIR_ERR_IO, wanted, "%s", zmq_strerror(errno));
    return CHOIR_OK;
}

static enum choir_err check_key(const struct link_settings *settings, struct choir_diag *diag)
{
    struct door door = door_of(settings->roster, settings->listener);
    uint8_t public_key[CURVE_KEY_BYTES];

    curve_public(public_key, settings->curve_secret);
    if (door.curve_key != NULL && memcmp(public_key, door.curve_key, CURVE_KEY_BYTES) == 0)
        return CHOIR_OK;
    return diag_set(diag, CHOIR_ERR_FORMAT, settings->roster->name,
                    settings->listener == ROSTER_AGGREGATOR
                        ? "the transport key is not the aggregator's of this roster"
                        : "the transport key is not the relay's of this roster");
}

enum choir_err link_listen(const struct link_settings *settings, struct choir_diag *diag,
                           struct link **out)
{
    struct link *link = NULL;
    enum choir_err err = check_key(settings, diag);

    if (err == CHOIR_OK)
        err = link_new(settings, diag, &link);
    if (err != CHOIR_OK)
        return err;
    plug_expect_peers(link->roster.n_sites);
    link->routes = route_new(&link->roster);
    err = link->routes == NULL ? CHOIR_ERR_MEMORY
                               : gate_open(&link->roster, link->listener, &link->gate);
    if (err == CHOIR_ERR_IO)
        diag_set(diag, err, "inproc", "this process already has a listening link");
    for (int i = 0; i < LINK_CHANNELS && err == CHOIR_OK; i++)
        err = listen_on(link, settings, (enum link_channel)i, diag);
    for (int i = 0; i < LINK_CHANNELS && err == CHOIR_OK; i++)
        err = selftest_gate(link->gate, link->endpoint[i],
                            door_of(&link->roster, link->listener).curve_key, diag);
    if (err != CHOIR_OK) {
        link_close(link);
        return err;
    }
    *out = link;
    return CHOIR_OK;
}

// Up to twice the pause, so that a thousand sites do not come back in the same instant.
static uint32_t with_jitter(uint32_t pause_ms)
{
    uint32_t random;

    rng_bytes(&random, sizeof random);
    return pause_ms + random % pause_ms;
}

static enum choir_err connect_to(struct link *link, const struct link_settings *settings,
                                 enum link_channel channel, struct choir_diag *diag)
{
    uint8_t public_key[CURVE_KEY_BYTES];
    const struct plug_settings plug = {
        .endpoint = link->endpoint[channel],
        .public_key = public_key,
        .secret_key = settings->curve_secret,
        .server_key = door_of(&link->roster, link->listener).curve_key,
        .message_max = link_largest(link, channel, true),
        .queue = queue_of(link, channel),
        .reconnect_ms = with_jitter(link->pause_ms),
        .reconnect_max_ms = link->longest_ms,
    };
    const char *wanted = door_endpoint(settings, channel);
    enum choir_err err;

    if (!endpoint_is_numeric(wanted))
        return diag_set(diag, CHOIR_ERR_FORMAT, wanted,
                        "not a numeric address: tcp://NUMBER:PORT is expected");
    memcpy(link->endpoint[channel], wanted, strlen(wanted) + 1);
    curve_public(public_key, settings->curve_secret);
    err = plug_connect(&plug, &link->plug[channel]);
    if (err != CHOIR_OK)
        return diag_set(diag, err, wanted, "cannot connect: %s", zmq_strerror(errno));
    return CHOIR_OK;
}

enum choir_err link_connect(const struct link_settings *settings, struct choir_diag *diag,
                            struct link **out)
{
    struct link *link = NULL;
    enum choir_err err = link_new(settings, diag, &link);

    if (err != CHOIR_OK)
        return err;
    link->pause_ms = settings->reconnect_ms == 0 ? RECONNECT_MS : settings->reconnect_ms;
    link->longest_ms =
        settings->reconnect_max_ms == 0 ? RECONNECT_MAX_MS : settings->reconnect_max_ms;
    for (int i = 0; i < LINK_CHANNELS && err == CHOIR_OK; i++)
        err = connect_to(link, settings, (enum link_channel)i, diag);
    if (err != CHOIR_OK) {
        link_close(link);
        return err;
    }
    *out = link;
    return CHOIR_OK;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    for (int i = 0; i < LINK_CHANNELS; i++)
        plug_close(&link->plug[i]);
    gate_close(link->gate);
    zmq_msg_close(&link->message);
    roster_release(&link->roster);
    free(link->routes);
    free(link);
}

const char *link_endpoint(const struct link *link, enum link_channel channel)
{
    return link->endpoint[channel];
}

enum choir_err link_set_roster(struct link *link, const struct roster *roster)
{
    struct roster copy = {0};
    struct route *routes;
    enum choir_err err = roster_copy(roster, &copy);

    if (err != CHOIR_OK)
        return err;
    routes = route_new(&copy);
    if (routes == NULL) {
        roster_release(&copy);
        return CHOIR_ERR_MEMORY;
    }
    if (link->routes != NULL)
        route_keep(link->routes, &link->roster, routes, &copy);
    free(link->routes);
    link->routes = routes;
    roster_release(&link->roster);
    link->roster = copy;
    if (link->gate != NULL)
        gate_set_roster(link->gate, &link->roster);
    return CHOIR_OK;
}

enum choir_err link_watch(struct link *link, int fd)
{
    if (link->n_watched == LINK_WATCH_MAX)
        return CHOIR_ERR_REFUSED;
    link->watched[link->n_watched++] = fd;
    return CHOIR_OK;
}

void link_unwatch(struct link *link, int fd)
{
    for (size_t i = 0; i < link->n_watched; i++)
        if (link->watched[i] == fd) {
            link->watched[i] = link->watched[--link->n_watched];
            return;
        }
}

// An empty message tells the aggregator under which route this site can be reached now.
static bool greet(struct link *link, struct link_event *event)
{
    for (int i = 0; i < LINK_CHANNELS; i++) {
        if (!link->line[i].greet_due ||
            zmq_send(plug_socket(&link->plug[i]), "", 0, ZMQ_DONTWAIT) != 0)
            continue;
        link->line[i] = (struct line){.up = true};
        *event = (struct link_event){.kind = LINK_UP, .channel = (enum link_channel)i};
        return true;
    }
    return false;
}

static bool tell_failure(struct line *line, enum link_event_kind kind, struct link_event *event)
{
    bool is_new = !line->told;

    line->told = true;
    event->kind = kind;
    return is_new;
}

static bool go_down(struct link *link, struct line *line, struct link_event *event)
{
    bool was_up = line->up;

    line->up = false;
    line->greet_due = false;
    // libzmq reconnects by itself unless the other side broke the protocol: then we do.
    if (line->again_ms == 0)
        line->again_ms = now_ms() + 2 * (uint64_t)link->longest_ms;
    event->kind = LINK_DOWN;
    return was_up;
}

static bool be_refused(struct link *link, struct line *line, struct link_event *event)
{
    if (line->refused_pause_ms == 0)
        line->refused_pause_ms = link->pause_ms;
    line->again_ms = now_ms() + with_jitter(line->refused_pause_ms);
    line->refused_pause_ms *= 2;
    if (line->refused_pause_ms > link->longest_ms)
        line->refused_pause_ms = link->longest_ms;
    return tell_failure(line, LINK_REFUSED, event);
}

static bool hear_news(struct link *link, enum link_channel channel, struct link_event *event)
{
    struct line *line = &link->line[channel];

    *event = (struct link_event){.channel = channel};
    switch (plug_news(&link->plug[channel])) {
    case PLUG_UP:
        line->greet_due = true;
        return greet(link, event);
    case PLUG_DOWN:
        return go_down(link, line, event);
    case PLUG_REFUSED:
        return be_refused(link, line, event);
    case PLUG_CUT_OFF:
        return tell_failure(line, LINK_WRONG_KEY, event);
    case PLUG_NOTHING:
        break;
    }
    return false;
}

// Connects anew where it is time; returns how long to wait at most before the next look.
static uint64_t connect_again(struct link *link, uint64_t wait_ms)
{
    for (int i = 0; i < LINK_CHANNELS && link->gate == NULL; i++) {
        struct line *line = &link->line[i];
        uint64_t now = now_ms();

        if (line->greet_due && wait_ms > HELLO_MS)
            wait_ms = HELLO_MS;
        if (line->again_ms == 0)
            continue;
        if (now >= line->again_ms) {
            line->again_ms = now + 2 * (uint64_t)link->longest_ms;
            plug_again(&link->plug[i], link->endpoint[i]);
        }
        if (wait_ms > line->again_ms - now)
            wait_ms = line->again_ms - now;
    }
    return wait_ms;
}

// Receives one frame into link->message; false if there is none.
static bool receive_frame(struct link *link, void *socket)
{
    zmq_msg_close(&link->message);
    zmq_msg_init(&link->message);
    return zmq_msg_recv(&link->message, socket, ZMQ_DONTWAIT) >= 0;
}

// Takes down the site's route; true if it is a new one.
static bool learn_route(struct link *link, uint32_t site, enum link_channel channel,
                        const uint8_t id[static ROUTE_BYTES])
{
    struct route *route = route_of(link->routes, &link->roster, site);

    if (route == NULL ||
        (route->known[channel] && memcmp(route->id[channel], id, ROUTE_BYTES) == 0))
        return false;
    memcpy(route->id[channel], id, ROUTE_BYTES);
    route->known[channel] = true;
    return true;
}

// Who sent link->message is in the metadata of the payload frame (the one of the routing frame
// gets lost in libzmq 4.3.4), and must still be on the roster: handshakes happen only once.
static bool admit(struct link *link, enum link_channel channel,
                  const uint8_t id[static ROUTE_BYTES], struct link_event *event)
{
    uint32_t peer = gate_peer(link->gate, zmq_msg_gets(&link->message, "User-Id"));
    bool is_new;

    if (peer == 0)
        return false;
    is_new = learn_route(link, peer, channel, id);
    *event = (struct link_event){.kind = LINK_MESSAGE, .channel = channel, .site = peer};
    if (zmq_msg_size(&link->message) > 0)
        return true;
    event->kind = LINK_UP;
    return is_new;
}

static bool receive_from_site(struct link *link, enum link_channel channel,
                              struct link_event *event)
{
    void *socket = plug_socket(&link->plug[channel]);
    uint8_t id[ROUTE_BYTES];
    bool good;

    if (!receive_frame(link, socket))
        return false;
    good = zmq_msg_more(&link->message) != 0 && zmq_msg_size(&link->message) == ROUTE_BYTES;
    if (good)
        memcpy(id, zmq_msg_data(&link->message), ROUTE_BYTES);
    if (!good || !receive_frame(link, socket) || zmq_msg_more(&link->message) != 0) {
        plug_drop_frames(socket, zmq_msg_more(&link->message) != 0);
        return false;
    }
    return admit(link, channel, id, event);
}

static bool receive_from_aggregator(struct link *link, enum link_channel channel,
                                    struct link_event *event)
{
    void *socket = plug_socket(&link->plug[channel]);

    if (!receive_frame(link, socket))
        return false;
    if (zmq_msg_more(&link->message) != 0) {
        plug_drop_frames(socket, true);
        return false;
    }
    *event =
        (struct link_event){.kind = LINK_MESSAGE, .channel = channel, .site = ROSTER_AGGREGATOR};
    return true;
}

static bool receive(struct link *link, enum link_channel channel, struct link_event *event)
{
    bool got = link->gate != NULL ? receive_from_site(link, channel, event)
                                  : receive_from_aggregator(link, channel, event);

    if (!got || event->kind != LINK_MESSAGE)
        return got;
    event->bytes = zmq_msg_data(&link->message);
    event->len = zmq_msg_size(&link->message);
    if (event->len > link_largest(link, channel, true))
        return false;
    link->counts.received_bytes += event->len;
    link->counts.received_messages++;
    return true;
}

// The first items are the channels; then the gate or the monitors; then the watched ones.
static size_t list_items(const struct link *link, zmq_pollitem_t items[static WAIT_MAX])
{
    size_t n = 0;

    for (int i = 0; i < LINK_CHANNELS; i++)
        items[n++].socket = plug_socket(&link->plug[i]);
    if (link->gate != NULL)
        items[n++].socket = gate_socket(link->gate);
    for (int i = 0; i < LINK_CHANNELS && link->gate == NULL; i++)
        items[n++].socket = plug_monitor(&link->plug[i]);
    for (size_t i = 0; i < link->n_watched; i++)
        items[n++].fd = link->watched[i];
    for (size_t i = 0; i < n; i++)
        items[i].events = ZMQ_POLLIN;
    return n;
}

static bool handle_item(struct link *link, const zmq_pollitem_t *items, size_t index,
                        struct link_event *event)
{
    if (items[index].revents == 0)
        return false;
    if (items[index].socket == NULL) {
        *event = (struct link_event){.kind = LINK_READABLE, .fd = items[index].fd};
        return true;
    }
    if (index < LINK_CHANNELS)
        return receive(link, (enum link_channel)index, event);
    if (link->gate == NULL)
        return hear_news(link, (enum link_channel)(index - LINK_CHANNELS), event);
    *event = (struct link_event){.kind = LINK_INTRUDER};
    return gate_answer(link->gate) > 0;
}

// One look at everything that may have happened; true if `event` tells of something.
static enum choir_err look(struct link *link, uint64_t wait_ms, struct link_event *event,
                           bool *found, bool *interrupted)
{
    zmq_pollitem_t items[WAIT_MAX] = {0};
    size_t n = list_items(link, items);

    *found = greet(link, event);
    if (*found)
        return CHOIR_OK;
    wait_ms = connect_again(link, wait_ms);
    if (zmq_poll(items, (int)n, (long)wait_ms) < 0) {
        *interrupted = errno == EINTR;
        return *interrupted ? CHOIR_OK : CHOIR_ERR_IO;
    }
    for (size_t i = 0; i < n && !*found; i++)
        *found = handle_item(link, items, (link->turn + i) % n, event);
    link->turn++;
    return CHOIR_OK;
}

enum choir_err link_next(struct link *link, uint32_t timeout_ms, struct link_event *event)
{
    uint64_t now = now_ms(), end = now + timeout_ms;
    bool found = false, interrupted = false;

    do {
        enum choir_err err = look(link, end - now, event, &found, &interrupted);
        if (err != CHOIR_OK || found)
            return err;
        now = now_ms();
    } while (now < end && !interrupted);
    *event = (struct link_event){.kind = LINK_TIMEOUT};
    return CHOIR_OK;
}

enum choir_err link_wait(struct link *a, struct link *b, uint32_t timeout_ms)
{
    zmq_pollitem_t items[2 * WAIT_MAX] = {0};
    uint64_t wait_ms = connect_again(b, connect_again(a, timeout_ms));
    size_t n = list_items(a, items);

    n += list_items(b, items + n);
    return zmq_poll(items, (int)n, (long)wait_ms) < 0 && errno != EINTR ? CHOIR_ERR_IO : CHOIR_OK;
}

void link_count(const struct link *link, struct link_counts *counts)
{
    *counts = link->counts;
}
