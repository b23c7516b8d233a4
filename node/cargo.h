/* cargo - what a courier moves in chunks: the model of a round in, the update out.
 *
 * A model is spooled into memory (a sealed courier opens no files) and used only when its hash is
 * right; an update is read from the descriptor that the vault handed out. One of each at a time.
 * With secure aggregation the update is masked into the scratch file first (masker.h) and only
 * that can be sent: an update that was kept to be masked never leaves as it is.
 * No sockets: bulk messages and the time go in, bulk messages come out.
 */
#ifndef CHOIR_NODE_CARGO_H
#define CHOIR_NODE_CARGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/maskset.h"
#include "round/site.h"

struct cargo;

enum cargo_news {
    CARGO_NOTHING,
    CARGO_MODEL_READY,  // the model asked for is whole: cargo_model()
    CARGO_MODEL_FAILED, // it cannot be had now; ask again later
    CARGO_UPLOADED,     // the aggregator has the update, verified
    CARGO_MASKED,       // the masked vector is ready to be sent: cargo_root(), cargo_bytes()
    CARGO_MASK_FAILED,  // it cannot be made: cargo_fault()
};

/* For a federation of n_sites, which share what is under way (transfer_window). `scratch` is where
 * masked vectors are kept, borrowed, readable and writable, a name in no folder; -1: none, so
 * that nothing can be masked. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_new(size_t n_sites, int scratch, struct cargo **out);
void cargo_free(struct cargo *cargo);

/* Asks for the model of this hash, at most `max_bytes` long, instead of any other. Nothing
 * happens if it is on its way. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_fetch(struct cargo *cargo,
                                            const uint8_t hash[static HASH_BYTES],
                                            uint64_t max_bytes);

/* A descriptor of the whole model of this hash, the cargo's own; -1 if it is not here. */
int cargo_model(const struct cargo *cargo, const uint8_t hash[static HASH_BYTES]);

/* Keeps `fd`, which is the cargo's from now on, as the charged update: `to_mask` says whether it
 * may leave only under masks. Fails with CHOIR_ERR_FORGED (without masks: the bytes have another
 * root), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_keep(struct cargo *cargo, const struct site_update *update,
                                           bool to_mask, int fd);

/* How the kept update is to be masked. */
struct cargo_masks {
    uint64_t n_parameters;
    uint32_t lane_bits;
    const struct maskset *masks; // borrowed until CARGO_MASKED, CARGO_MASK_FAILED or the stop
};

/* Begins to mask the kept update with this digest; an upload that was going on is over. Nothing
 * happens if exactly this goes on already. cargo_work() does it. Fails with CHOIR_ERR_MISSING
 * (another update is kept, or one to be sent as it is), CHOIR_ERR_FORMAT, CHOIR_ERR_REFUSED,
 * CHOIR_ERR_IO (masker_new) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_mask(struct cargo *cargo,
                                           const uint8_t digest[static HASH_BYTES],
                                           const struct cargo_masks *masks);

/* True while there is masking to do. */
bool cargo_is_masking(const struct cargo *cargo);

/* Some milliseconds of it. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_work(struct cargo *cargo, enum cargo_news *news);

/* What CARGO_MASK_FAILED was about, for people. */
const char *cargo_fault(const struct cargo *cargo);

/* Begins or goes on with the upload of what has this Merkle root: the masked vector, or the kept
 * update where it may leave as it is. *news is CARGO_UPLOADED if it is there already. Fails with
 * CHOIR_ERR_MISSING (nothing of this root may be sent) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_upload(struct cargo *cargo,
                                             const uint8_t root[static HASH_BYTES],
                                             enum cargo_news *news);

/* The attempt is over: ends upload and masking, and empties the scratch file. The charged update
 * is kept. */
void cargo_stop_upload(struct cargo *cargo);

/* The Merkle root and length of what is sent or ready to be; the hash of the model asked for
 * last. */
const uint8_t *cargo_root(const struct cargo *cargo);
uint64_t cargo_bytes(const struct cargo *cargo);
const uint8_t *cargo_model_hash(const struct cargo *cargo);

/* The bulk connection is new. */
void cargo_reopen(struct cargo *cargo);

/* One bulk message of the aggregator. Fails with CHOIR_ERR_FORMAT, CHOIR_ERR_PEER or
 * CHOIR_ERR_FORGED if it makes no sense (nothing of it was kept), or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err cargo_take(struct cargo *cargo, const uint8_t *bytes, size_t len,
                                           uint64_t now_ms, enum cargo_news *news);

/* The next bulk message to send into to[0..*len), max >= BULK_BYTES_MAX; CHOIR_ERR_AGAIN: none
 * now. cargo_unsent(): it could not be sent and will be given again. */
CHOIR_MUST_CHECK enum choir_err cargo_next(struct cargo *cargo, uint64_t now_ms, uint8_t *to,
                                           size_t max, size_t *len);
void cargo_unsent(struct cargo *cargo);

#endif
