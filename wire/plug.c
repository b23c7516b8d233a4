#include "wire/plug.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <czmq.h>

#include "crypto/rng.h"
#include "wire/gate.h"

enum {
    CURVE_OVERHEAD = 33 + 1024, // of an encrypted frame, and room for its metadata
    SOCKETS_MAX = 1023,
    BACKLOG = 1024,
    FILES_PER_PEER = 4,
    FILES_SPARE = 256,
};

struct option {
    int name, value;
};

// Both sides. Heartbeats queue behind data, so their timeout is far above the time of a chunk.
// czmq's LINGER of 0 would lose the last message, libzmq's of -1 would hang at exit.
static const struct option common[] = {
    {ZMQ_LINGER, 2000},           {ZMQ_HANDSHAKE_IVL, 10000},     {ZMQ_TCP_KEEPALIVE, 1},
    {ZMQ_TCP_KEEPALIVE_IDLE, 60}, {ZMQ_TCP_KEEPALIVE_INTVL, 15},  {ZMQ_TCP_KEEPALIVE_CNT, 4},
    {ZMQ_HEARTBEAT_IVL, 15000},   {ZMQ_HEARTBEAT_TIMEOUT, 60000}, {ZMQ_HEARTBEAT_TTL, 60000},
};

// MANDATORY: a message to nobody is an error, not lost. No HANDOVER: it lets an enrolled site
// take another's place. ENFORCE: without it a missing handler would mean "everybody".
static const struct option listening[] = {
    {ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_ROUTER_HANDOVER, 0}, {ZMQ_BACKLOG, BACKLOG},
    {ZMQ_CURVE_SERVER, 1},     {GATE_ENFORCE, 1},
};

// IMMEDIATE: nothing queues for a connection that does not stand yet.
static const struct option connecting[] = {
    {ZMQ_IMMEDIATE, 1},
    {ZMQ_CONNECT_TIMEOUT, 15000},
};

static bool set_all(void *socket, const struct option *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) != 0)
            return false;
    return true;
}

static bool set_key(void *socket, int name, const uint8_t *key)
{
    return zmq_setsockopt(socket, name, key, CURVE_KEY_BYTES) == 0;
}

static bool set_common(void *socket, const struct plug_settings *settings)
{
    const struct option queues[] = {
        {ZMQ_SNDHWM, settings->queue},
        {ZMQ_RCVHWM, settings->queue},
        {ZMQ_IPV6, strchr(settings->endpoint, '[') != NULL},
    };
    int64_t max = (int64_t)settings->message_max + CURVE_OVERHEAD;

    return set_all(socket, common, sizeof common / sizeof *common) &&
           set_all(socket, queues, sizeof queues / sizeof *queues) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof max) == 0 &&
           set_key(socket, ZMQ_CURVE_PUBLICKEY, settings->public_key) &&
           set_key(socket, ZMQ_CURVE_SECRETKEY, settings->secret_key);
}

void plug_prepare(void)
{
    static bool prepared; // czmq asserts that nothing is open when a limit is set

    if (prepared)
        return;
    prepared = true;
    zsys_handler_set(NULL); // signals belong to the program
    zsys_init();
    zsys_set_io_threads(1); // also against ZSYS_* variables of the environment
    zsys_set_max_sockets(SOCKETS_MAX);
    zsys_set_auto_use_fd(0);
}

void plug_expect_peers(size_t n_peers)
{
    struct rlimit limit;
    rlim_t want = FILES_PER_PEER * n_peers + FILES_SPARE;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
        return;
    limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

enum choir_err plug_listen(const struct plug_settings *settings, struct plug *plug)
{
    enum choir_err err = CHOIR_ERR_IO;
    zsock_t *made = zsock_new(ZMQ_ROUTER);
    void *socket = made == NULL ? NULL : zsock_resolve(made);

    if (made == NULL)
        return CHOIR_ERR_MEMORY;
    if (set_common(socket, settings) &&
        set_all(socket, listening, sizeof listening / sizeof *listening) &&
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, GATE_DOMAIN, strlen(GATE_DOMAIN)) == 0 &&
        zmq_bind(socket, settings->endpoint) == 0) {
        plug->socket = made;
        plug->monitor = NULL;
        made = NULL;
        err = CHOIR_OK;
    }
    int why = errno;
    zsock_destroy(&made);
    errno = why;
    return err;
}

static enum choir_err watch(zsock_t *made, zsock_t **monitor)
{
    const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_DISCONNECTED;
    char address[64];
    uint64_t number;

    // A name of its own: one that was used before may still be closing in the background.
    rng_bytes(&number, sizeof number);
    snprintf(address, sizeof address, "inproc://plug-%016" PRIx64, number);
    if (zmq_socket_monitor(zsock_resolve(made), address, events) != 0)
        return CHOIR_ERR_IO;
    *monitor = zsock_new(ZMQ_PAIR);
    if (*monitor == NULL)
        return CHOIR_ERR_MEMORY;
    zsock_set_linger(*monitor, 0);
    return zmq_connect(zsock_resolve(*monitor), address) == 0 ? CHOIR_OK : CHOIR_ERR_IO;
}

enum choir_err plug_connect(const struct plug_settings *settings, struct plug *plug)
{
    enum choir_err err = CHOIR_ERR_IO;
    const struct option pauses[] = {
        {ZMQ_RECONNECT_IVL, (int)settings->reconnect_ms},
        {ZMQ_RECONNECT_IVL_MAX, (int)settings->reconnect_max_ms},
    };
    struct plug made = {.socket = zsock_new(ZMQ_DEALER)};
    zsock_t *monitor = NULL;
    void *socket;

    if (made.socket == NULL)
        return CHOIR_ERR_MEMORY;
    socket = zsock_resolve(made.socket);
    if (!set_common(socket, settings) ||
        !set_all(socket, connecting, sizeof connecting / sizeof *connecting) ||
        !set_all(socket, pauses, sizeof pauses / sizeof *pauses) ||
        !set_key(socket, ZMQ_CURVE_SERVERKEY, settings->server_key))
        goto out;
    err = watch(made.socket, &monitor);
    made.monitor = monitor;
    if (err != CHOIR_OK)
        goto out;
    if (zmq_connect(socket, settings->endpoint) != 0) {
        err = CHOIR_ERR_IO;
        goto out;
    }
    *plug = made;
    made = (struct plug){0};
out:
    plug_close(&made);
    return err;
}

void plug_again(struct plug *plug, const char *endpoint)
{
    (void)zmq_disconnect(plug_socket(plug), endpoint); // fails where nothing is left of it
    (void)zmq_connect(plug_socket(plug), endpoint);
}

void plug_close(struct plug *plug)
{
    zsock_t *socket = plug->socket, *monitor = plug->monitor;

    if (socket != NULL && monitor != NULL)
        zmq_socket_monitor(zsock_resolve(socket), NULL, 0);
    zsock_destroy(&monitor);
    zsock_destroy(&socket);
    *plug = (struct plug){0};
}

void *plug_socket(const struct plug *plug)
{
    return zsock_resolve(plug->socket);
}

void *plug_monitor(const struct plug *plug)
{
    return plug->monitor == NULL ? NULL : zsock_resolve(plug->monitor);
}

static enum plug_event meaning(uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return PLUG_UP;
    case ZMQ_EVENT_DISCONNECTED:
        return PLUG_DOWN;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return PLUG_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return PLUG_CUT_OFF;
    default:
        return PLUG_NOTHING;
    }
}

void plug_drop_frames(void *socket, bool more)
{
    while (more) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        more = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame) != 0;
        zmq_msg_close(&frame);
    }
}

enum plug_event plug_news(struct plug *plug)
{
    void *monitor = plug_monitor(plug);
    uint8_t record[6]; // event u16, value u32, in the byte order of this machine
    char address[256];
    uint16_t event;

    if (zmq_recv(monitor, record, sizeof record, ZMQ_DONTWAIT) != (int)sizeof record)
        return PLUG_NOTHING;
    (void)zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT); // the second frame
    memcpy(&event, record, sizeof event);
    return meaning(event);
}
