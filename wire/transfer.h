/* transfer - content of any size in chunks: a sender and a receiver as pure state machines.
 *
 * No sockets, no clock: messages (bulk.h) and the time are handed in and out. The receiver
 * asks for what it needs, at most `window` chunks ahead, so neither side is ever flooded;
 * lost, repeated and reordered messages do no harm. After a reconnect the sender opens
 * again (or the receiver fetches again) and only what is missing is sent.
 *
 * Each chunk is checked against its leaf hash before it is written; the leaf hashes are
 * checked against the root before any chunk is asked for. Chunks are spooled into the
 * receiver's file; its content may be used only when receiver_state() is TRANSFER_DONE.
 *
 * A loop: for each bulk message that came in, *_take(); then *_next() until CHOIR_ERR_AGAIN,
 * each result to link_send(); also at least every 250 ms without a message, so that what got
 * lost is asked for again.
 */
#ifndef CHOIR_WIRE_TRANSFER_H
#define CHOIR_WIRE_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "wire/bulk.h"
#include "wire/source.h"

struct sender;
struct receiver;

enum {
    TRANSFER_WINDOW = 12,     // chunks asked for and not yet here
    TRANSFER_WINDOW_MAX = 16, // the most a sender accepts
    TRANSFER_UNDER_WAY = 48,  // chunks of all sites together: 12 MiB
    TRANSFER_RETRY_MS = 2000, // without news for so long: ask again
};

/* How many chunks one receiver may ask for ahead when n_sites transfers can go on at once: what is
 * under way stays near TRANSFER_UNDER_WAY chunks in all, with one for each site at least. */
uint32_t transfer_window(size_t n_sites);

enum transfer_state { TRANSFER_WAITING, TRANSFER_RUNNING, TRANSFER_DONE, TRANSFER_FAILED };

/* Sends `source` (borrowed) to one peer. An upload begins by itself: the first sender_next()
 * gives OPEN. With `wait_for_fetch` nothing is sent until the peer's FETCH (or NEED) came. */
CHOIR_MUST_CHECK enum choir_err sender_new(const struct source *source, bool wait_for_fetch,
                                           struct sender **out);
void sender_free(struct sender *sender);
/* The connection is new: open again. */
void sender_reopen(struct sender *sender);
/* One message with this sender's id. Fails with CHOIR_ERR_PEER if it makes no sense; the
 * sender is as before then. */
CHOIR_MUST_CHECK enum choir_err sender_take(struct sender *sender,
                                            const struct bulk_message *message, uint64_t now_ms);
/* The next message to send, into to[0..*len), max >= BULK_BYTES_MAX. Fails with CHOIR_ERR_AGAIN
 * (nothing to send now) or CHOIR_ERR_IO (reading failed; the sender has failed). */
CHOIR_MUST_CHECK enum choir_err sender_next(struct sender *sender, uint64_t now_ms, uint8_t *to,
                                            size_t max, size_t *len);
/* The message of the last sender_next() could not be sent: it will be given again. */
void sender_unsent(struct sender *sender);
enum transfer_state sender_state(const struct sender *sender);

struct receiver_settings {
    uint8_t id[HASH_BYTES];
    int fd;                 // spool file, empty, readable and writable; borrowed
    uint64_t max_bytes;     // refuse more, at most BULK_CONTENT_MAX
    bool fetch;             // ask for it (download); else wait for the OPEN (upload)
    const uint64_t *bytes;  // the only length accepted; NULL: any up to max_bytes
    const uint8_t *root;    // HASH_BYTES, the only root accepted; NULL: any
    const uint8_t *content; // HASH_BYTES, SHA-256 of the whole; NULL: not checked
    uint32_t window;        // 0: TRANSFER_WINDOW
};

/* Settings are copied. At least one of root and content is to be given, or what arrives is
 * only whole, not known. Fails with CHOIR_ERR_FORMAT (settings) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err receiver_new(const struct receiver_settings *settings,
                                             struct receiver **out);
void receiver_free(struct receiver *receiver);
/* The connection is new: a download asks at once for what is missing; an upload waits for the
 * sender, which opens again. */
void receiver_reopen(struct receiver *receiver);
/* One message with this receiver's id. Fails with CHOIR_ERR_PEER (makes no sense),
 * CHOIR_ERR_FORGED (shape, hash list or chunk is not what was announced: nothing of it was
 * kept) or CHOIR_ERR_IO (spooling failed; the receiver has failed). */
CHOIR_MUST_CHECK enum choir_err receiver_take(struct receiver *receiver,
                                              const struct bulk_message *message, uint64_t now_ms);
/* As sender_next(). After TRANSFER_DONE it gives DONE once, and again for every late message. */
CHOIR_MUST_CHECK enum choir_err receiver_next(struct receiver *receiver, uint64_t now_ms,
                                              uint8_t *to, size_t max, size_t *len);
void receiver_unsent(struct receiver *receiver);
enum transfer_state receiver_state(const struct receiver *receiver);
/* Bytes of the content, 0 while unknown, and how many of them are here and verified. */
void receiver_progress(const struct receiver *receiver, uint64_t *bytes, uint64_t *arrived);

#endif
