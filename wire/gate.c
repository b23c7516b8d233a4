#include "wire/gate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "base/hex.h"
#include "base/now.h"

static const char address[] = "inproc://zeromq.zap.01"; // fixed by RFC 27

struct gate {
    zsock_t *handler;
    const struct roster *roster;
    uint32_t listener; // ROSTER_AGGREGATOR or a relay
};

enum {
    REQUEST_ID_MAX = 255,
    REQUEST_FRAMES = 7, // version, request id, domain, address, identity, mechanism, key
    USER_MAX = 10 + 1 + 2 * CURVE_KEY_BYTES + 1,
};

// What of a request matters; a frame that is too long or too short leaves `good` false.
struct request {
    uint8_t id[REQUEST_ID_MAX];
    size_t id_len;
    uint8_t key[CURVE_KEY_BYTES];
    bool good;
};

/* Who may connect. */
struct peer {
    uint32_t id; // 0: nobody
    const uint8_t *key;
};

enum choir_err gate_open(const struct roster *roster, uint32_t listener, struct gate **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct gate *gate = calloc(1, sizeof *gate);

    if (gate == NULL)
        goto out;
    gate->roster = roster;
    gate->listener = listener;
    gate->handler = zsock_new(ZMQ_REP);
    if (gate->handler == NULL)
        goto out;
    zsock_set_linger(gate->handler, 0);
    if (zmq_bind(zsock_resolve(gate->handler), address) != 0) {
        err = CHOIR_ERR_IO;
        goto out;
    }
    *out = gate;
    gate = NULL;
    err = CHOIR_OK;
out:
    gate_close(gate);
    return err;
}

void gate_close(struct gate *gate)
{
    if (gate == NULL)
        return;
    // Closing happens in the background: the address is given up here, for the next gate.
    if (gate->handler != NULL)
        (void)zmq_unbind(zsock_resolve(gate->handler), address);
    zsock_destroy(&gate->handler);
    free(gate);
}

void gate_set_roster(struct gate *gate, const struct roster *roster)
{
    gate->roster = roster;
}

void *gate_socket(const struct gate *gate)
{
    return zsock_resolve(gate->handler);
}

static bool equals(zmq_msg_t *frame, const char *text)
{
    return zmq_msg_size(frame) == strlen(text) &&
           memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

static bool get_frame(struct request *request, size_t index, zmq_msg_t *frame)
{
    size_t len = zmq_msg_size(frame);

    switch (index) {
    case 0:
        return equals(frame, "1.0");
    case 1:
        if (len > sizeof request->id)
            return false;
        memcpy(request->id, zmq_msg_data(frame), len);
        request->id_len = len;
        return true;
    case 2:
        return equals(frame, GATE_DOMAIN);
    case 5:
        return equals(frame, "CURVE");
    case 6:
        if (len != sizeof request->key)
            return false;
        memcpy(request->key, zmq_msg_data(frame), len);
        return true;
    default:
        return index < REQUEST_FRAMES; // address and routing id are the peer's own words
    }
}

// Reads one whole request; false if there is none.
static bool get_request(void *socket, struct request *request)
{
    size_t n = 0;
    bool more = true;

    request->good = true;
    for (; more; n++) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return false;
        }
        more = zmq_msg_more(&frame) != 0;
        if (!get_frame(request, n, &frame))
            request->good = false;
        zmq_msg_close(&frame);
    }
    request->good = request->good && n == REQUEST_FRAMES;
    return true;
}

static void put_user(char user[static USER_MAX], const struct peer *peer)
{
    int len = snprintf(user, USER_MAX, "%" PRIu32 ":", peer->id);

    hex_put(user + len, peer->key, CURVE_KEY_BYTES);
}

static bool send_text(void *socket, const char *text, int more)
{
    return zmq_send(socket, text, strlen(text), ZMQ_DONTWAIT | more) >= 0;
}

static void reply(void *socket, const struct request *request, const struct peer *peer)
{
    char user[USER_MAX] = "";
    bool admitted = peer->id != 0;

    if (admitted)
        put_user(user, peer);
    if (!send_text(socket, "1.0", ZMQ_SNDMORE) ||
        zmq_send(socket, request->id, request->id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
        !send_text(socket, admitted ? "200" : "400", ZMQ_SNDMORE) ||
        !send_text(socket, admitted ? "OK" : "key not enrolled", ZMQ_SNDMORE) ||
        !send_text(socket, user, ZMQ_SNDMORE))
        return; // the connection that asked is gone
    (void)send_text(socket, "", 0);
}

// The site of this key or id, if the roster has it connect here.
static struct peer as_site(const struct gate *gate, const struct roster_site *site)
{
    return site != NULL && site->relay == gate->listener
               ? (struct peer){.id = site->id, .key = site->curve_key}
               : (struct peer){0};
}

// Relays connect to the aggregator only.
static struct peer as_relay(const struct gate *gate, const struct roster_relay *relay)
{
    return relay != NULL && gate->listener == ROSTER_AGGREGATOR
               ? (struct peer){.id = relay->id, .key = relay->curve_key}
               : (struct peer){0};
}

static struct peer peer_by_key(const struct gate *gate, const uint8_t key[static CURVE_KEY_BYTES])
{
    struct peer peer = as_site(gate, roster_by_curve_key(gate->roster, key));

    return peer.id != 0 ? peer : as_relay(gate, roster_relay_by_curve_key(gate->roster, key));
}

size_t gate_answer(struct gate *gate)
{
    void *socket = zsock_resolve(gate->handler);
    struct request request = {0};
    size_t n_refused = 0;

    while (get_request(socket, &request)) {
        struct peer peer = {0};

        if (request.good && roster_is_current(gate->roster, now_unix()))
            peer = peer_by_key(gate, request.key);
        if (peer.id == 0)
            n_refused++;
        reply(socket, &request, &peer);
    }
    return n_refused;
}

uint32_t gate_peer(const struct gate *gate, const char *user_id)
{
    struct peer peer;
    char expected[USER_MAX];
    uint32_t id;

    if (user_id == NULL || !roster_is_current(gate->roster, now_unix()))
        return 0;
    id = (uint32_t)strtoul(user_id, NULL, 10);
    peer = as_site(gate, roster_by_id(gate->roster, id));
    if (peer.id == 0)
        peer = as_relay(gate, roster_relay_by_id(gate->roster, id));
    if (peer.id == 0)
        return 0;
    put_user(expected, &peer);
    return strcmp(expected, user_id) == 0 ? peer.id : 0;
}
