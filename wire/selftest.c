#include "wire/selftest.h"

#include <errno.h>

#include <zmq.h>

#include "base/now.h"
#include "crypto/rng.h"
#include "wire/endpoint.h"
#include "wire/plug.h"

enum { PATIENCE_MS = 5000, MESSAGE_MAX = 64 };

// Serves the gate until the stranger knows its fate.
static enum plug_event fate(struct gate *gate, struct plug *stranger)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    enum plug_event news = PLUG_NOTHING;

    for (uint64_t now = now_ms(); now < end && news == PLUG_NOTHING; now = now_ms()) {
        zmq_pollitem_t items[] = {
            {.socket = gate_socket(gate), .events = ZMQ_POLLIN},
            {.socket = plug_monitor(stranger), .events = ZMQ_POLLIN},
        };

        if (zmq_poll(items, 2, (long)(end - now)) < 0 && errno != EINTR)
            break;
        (void)gate_answer(gate);
        news = plug_news(stranger);
    }
    return news;
}

enum choir_err selftest_gate(struct gate *gate, const char *endpoint,
                             const uint8_t server_key[static CURVE_KEY_BYTES],
                             struct choir_diag *diag)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];
    char local[ROSTER_ENDPOINT_MAX];
    const struct plug_settings settings = {
        .endpoint = local,
        .public_key = public_key,
        .secret_key = secret_key,
        .server_key = server_key,
        .message_max = MESSAGE_MAX,
        .queue = 1,
        .reconnect_ms = PATIENCE_MS,
        .reconnect_max_ms = PATIENCE_MS,
    };
    struct plug stranger = {0};
    enum plug_event news = PLUG_NOTHING;
    enum choir_err err;

    endpoint_local(endpoint, local);
    curve_keypair(public_key, secret_key);
    err = plug_connect(&settings, &stranger);
    if (err == CHOIR_OK)
        news = fate(gate, &stranger);
    plug_close(&stranger);
    rng_wipe(secret_key, sizeof secret_key);
    if (news == PLUG_REFUSED)
        return CHOIR_OK;
    if (news == PLUG_UP)
        return diag_set(diag, CHOIR_ERR_FORGED, endpoint,
                        "the self-test got in with a key that is not on the roster");
    return diag_set(diag, err == CHOIR_OK ? CHOIR_ERR_IO : err, endpoint,
                    "the self-test could not show that unknown keys are refused");
}
