/* plug - one ZeroMQ socket with CURVE and the settings of this project, and its monitor.
 *
 * Why each setting has its value stands in plug.c. libzmq asserts on misuse, so every option
 * is set here, before the socket is bound or connected, and nowhere else.
 */
#ifndef CHOIR_WIRE_PLUG_H
#define CHOIR_WIRE_PLUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/curve.h"

struct plug {
    void *socket;  // czmq's zsock_t
    void *monitor; // a connecting plug's events; NULL where there is none
};

struct plug_settings {
    const char *endpoint;
    const uint8_t *public_key, *secret_key; // CURVE_KEY_BYTES, own
    const uint8_t *server_key;              // connecting: whom we expect
    size_t message_max;                     // bytes of a message
    int queue;                              // messages queued each way, per peer
    uint32_t reconnect_ms, reconnect_max_ms;
};

/* What a monitor saw of a connection. */
enum plug_event { PLUG_NOTHING, PLUG_UP, PLUG_DOWN, PLUG_REFUSED, PLUG_CUT_OFF };

/* Prepares ZeroMQ for this process: no signal handlers of its own, its limits. No ZeroMQ
 * socket may be open before the first call; later calls do nothing. */
void plug_prepare(void);

/* Raises the process's soft limit of open files, as far as the hard one allows: a connection
 * costs a descriptor. */
void plug_expect_peers(size_t n_peers);

/* A listening ROUTER: only keys that the process's gate (gate.h) admits get in. Fails with
 * CHOIR_ERR_IO (errno says why, EADDRINUSE for a busy address) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err plug_listen(const struct plug_settings *settings,
                                            struct plug *plug);

/* A DEALER that connects, and goes on trying, in the background. Fails likewise. */
CHOIR_MUST_CHECK enum choir_err plug_connect(const struct plug_settings *settings,
                                             struct plug *plug);

/* Connects anew: libzmq gives up for good when the other side refuses a key or breaks the
 * protocol, and a site may be enrolled a minute later. */
void plug_again(struct plug *plug, const char *endpoint);

/* Good for an all-zero one. What is queued is still sent for up to two seconds. */
void plug_close(struct plug *plug);

/* The raw ZeroMQ handles, for waiting. */
void *plug_socket(const struct plug *plug);
void *plug_monitor(const struct plug *plug);

/* Throws away what is left of a message of many frames. */
void plug_drop_frames(void *socket, bool more);

/* Takes one event from the monitor; PLUG_NOTHING if there is none that matters. */
enum plug_event plug_news(struct plug *plug);

#endif
