/* channel - a pair of sockets between two processes: whole messages, and open files with them.
 *
 * SOCK_SEQPACKET: a message arrives as it was sent or not at all, and the end of the other
 * process is seen. At most one descriptor travels with a message; whoever receives it owns it.
 */
#ifndef CHOIR_NODE_CHANNEL_H
#define CHOIR_NODE_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { CHANNEL_WAIT_FOREVER = -1 };

/* Two ends, both closed on exec. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err channel_pair(int ends[2]);

/* Sends message[0..len) and, unless it is -1, a copy of the descriptor `carried`, which stays
 * the caller's. Fails with CHOIR_ERR_PEER (the other side is gone, or takes nothing for
 * seconds) or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err channel_send(int end, const void *message, size_t len, int carried);

/* Waits up to `timeout_ms` and takes one message of exactly `len` bytes. *carried is the
 * descriptor that came with it, the caller's to close, or -1. Fails with CHOIR_ERR_AGAIN (time is
 * up), CHOIR_ERR_PEER (the other side is gone) or CHOIR_ERR_FORMAT (a message of another length
 * or with more than one descriptor; it is thrown away, its descriptors closed). */
CHOIR_MUST_CHECK enum choir_err channel_take(int end, void *message, size_t len, int timeout_ms,
                                             int *carried);

/* An anonymous file with these bytes, read-only from now on, for handing over; the caller's.
 * Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err channel_file(const void *bytes, size_t len, int *fd);

#endif
