/* link - authenticated, encrypted connections between sites and aggregator (ZeroMQ CURVE).
 *
 * Two connections each: `control` for small messages that must never wait, `bulk` for chunks.
 * The aggregator listens and admits only keys of the roster (gate.h); which site a message
 * came from is what the handshake proved, not what the message says. Sites only connect out.
 * A relay does both: it listens for its sites and connects to the aggregator.
 *
 * Sending never blocks and never proves delivery: answers of the other side do. A link has
 * the program's one event loop: link_next() waits for messages, changes of the connection
 * and extra file descriptors at the same time. One link belongs to one thread; a process
 * has at most one listening link.
 *
 * After link_connect() returned a link opens no file and starts no thread. A reconnect uses
 * socket, connect, getsockopt, setsockopt, getsockname, getpeername, fcntl, epoll_ctl,
 * epoll_wait, sendto, recvfrom, read, write, poll, close, getpid, getrandom, futex, and for
 * secrets mmap, munmap, mprotect, madvise, mlock, munlock (traced with libzmq 4.3.4). The
 * addresses must therefore be numeric (endpoint_resolve() before), and link_close() comes
 * before exit(): czmq complains about open sockets, and opens /etc/localtime to do so.
 */
#ifndef CHOIR_WIRE_LINK_H
#define CHOIR_WIRE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/bulk.h"
#include "wire/endpoint.h"
#include "wire/envelope.h"
#include "wire/relay.h"
#include "wire/roster.h"

struct link;

enum link_channel { LINK_CONTROL, LINK_BULK, LINK_CHANNELS };

enum {
    LINK_WATCH_MAX = 16, // extra file descriptors
    LINK_CONTROL_MAX = RELAY_FRAME_MAX,
    // From a site, whose largest message is SHARES: what waits in the queues of a thousand sites
    // takes memory of the aggregator.
    LINK_CONTROL_UP_MAX = 96 << 10,
    LINK_BULK_MAX = BULK_BYTES_MAX,
};

enum link_event_kind {
    LINK_TIMEOUT,   // nothing happened in the time given
    LINK_MESSAGE,   // bytes from `site` on `channel`
    LINK_UP,        // the other side can be reached on `channel` (again)
    LINK_DOWN,      // connecting side: the connection is gone; it is being made again
    LINK_REFUSED,   // connecting side: the aggregator does not know our key (not enrolled)
    LINK_WRONG_KEY, // connecting side: the handshake was cut off: not the aggregator of the roster
    LINK_READABLE,  // `fd`, one of link_watch(), can be read
    LINK_INTRUDER,  // listening side: a key that is not on the roster was turned away
};

/* LINK_REFUSED and LINK_WRONG_KEY are told once per channel until it has been up again; the link
 * goes on trying. */
struct link_event {
    enum link_event_kind kind;
    enum link_channel channel;
    uint32_t site;        // listening side: which site or relay; connecting side: ROSTER_AGGREGATOR
    const uint8_t *bytes; // LINK_MESSAGE: good until the next call on this link
    size_t len;
    int fd;
};

/* Bytes of messages as given to link_send() and by link_next(), without the overhead of
 * ZeroMQ and CURVE. */
struct link_counts {
    uint64_t sent_bytes, received_bytes;
    uint64_t sent_messages, received_messages;
};

struct link_settings {
    const struct roster *roster; // copied
    const uint8_t *curve_secret; // CURVE_KEY_BYTES, own secret key; not kept after the call
    uint32_t listener; // the end that listens, here or there: ROSTER_AGGREGATOR or a relay's id
    const char *control, *bulk; // endpoints instead of the listener's in the roster; NULL: those
    bool relay;                 // connecting side: many sites speak through this link
    uint32_t reconnect_ms;      // connecting side: first pause; 0: 500, randomly up to twice
    uint32_t reconnect_max_ms;  // longest pause; 0: 60 000
};

/* Listens, and then tries both ports with a key that nobody knows: if that key is let in, the
 * start fails. Port "*" takes a free one (link_endpoint). On CHOIR_OK *out is to be closed.
 * Fails with CHOIR_ERR_IO (address busy: diag names it), CHOIR_ERR_FORMAT (endpoint; the key
 * is not the listener's of the roster), CHOIR_ERR_REFUSED (the roster has expired),
 * CHOIR_ERR_FORGED (the self-test got in) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err link_listen(const struct link_settings *settings,
                                            struct choir_diag *diag, struct link **out);

/* Connects both channels in the background; LINK_UP tells of success. Fails with
 * CHOIR_ERR_FORMAT (endpoint is not numeric tcp), CHOIR_ERR_REFUSED (the roster has expired),
 * CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err link_connect(const struct link_settings *settings,
                                             struct choir_diag *diag, struct link **out);

/* Sends what is queued for up to two seconds, then closes and frees; NULL is allowed. */
void link_close(struct link *link);

/* Where a listening link listens, with the port number taken. */
const char *link_endpoint(const struct link *link, enum link_channel channel);

/* Listening side: the roster from now on. Messages of sites that are no longer on it are
 * dropped from the next one on, also on connections that stand. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err link_set_roster(struct link *link, const struct roster *roster);

/* Also waits for `fd` to be readable; it stays the caller's. Fails with CHOIR_ERR_REFUSED when
 * LINK_WATCH_MAX are watched. */
CHOIR_MUST_CHECK enum choir_err link_watch(struct link *link, int fd);
void link_unwatch(struct link *link, int fd);

/* Waits up to `timeout_ms` (0: looks only) and gives one event. Interrupted by a signal it
 * gives LINK_TIMEOUT at once. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err link_next(struct link *link, uint32_t timeout_ms,
                                          struct link_event *event);

/* Waits up to `timeout_ms` until one of two links of this thread has something to look at with
 * link_next(), which is then called on each with a timeout of 0. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err link_wait(struct link *a, struct link *b, uint32_t timeout_ms);

/* Queues one message; `site` is ROSTER_AGGREGATOR on the connecting side. Fails with
 * CHOIR_ERR_AGAIN (not connected, or its queue is full: try later), CHOIR_ERR_PEER (that site
 * is not connected) or CHOIR_ERR_FORMAT (longer than the channel allows). */
CHOIR_MUST_CHECK enum choir_err link_send(struct link *link, uint32_t site,
                                          enum link_channel channel, const uint8_t *bytes,
                                          size_t len);

/* A control message for many sites, held once however many it waits for. Fails with
 * CHOIR_ERR_FORMAT (longer than the channel allows) or CHOIR_ERR_MEMORY. */
struct link_letter;
CHOIR_MUST_CHECK enum choir_err link_letter_new(const uint8_t *bytes, size_t len,
                                                struct link_letter **out);
void link_letter_free(struct link_letter *letter);
/* link_send() on LINK_CONTROL without a copy; a listening link only. */
CHOIR_MUST_CHECK enum choir_err link_send_letter(struct link *link, uint32_t site,
                                                 struct link_letter *letter);

void link_count(const struct link *link, struct link_counts *counts);

#endif
