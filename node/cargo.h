/* cargo - what a courier moves in chunks: the model of a round in, the charged update out.
 *
 * A model is spooled into memory (a sealed courier opens no files) and used only when its hash is
 * right; an update is read from the descriptor that the vault handed out. One of each at a time.
 * No sockets: bulk messages and the time go in, bulk messages come out.
 */
#ifndef CHOIR_NODE_CARGO_H
#define CHOIR_NODE_CARGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"

struct cargo;

enum cargo_news {
    CARGO_NOTHING,
    CARGO_MODEL_READY,  // the model asked for is whole: cargo_model()
    CARGO_MODEL_FAILED, // it cannot be had now; ask again later
    CARGO_UPLOADED,     // the aggregator has the update, verified
};

/* For a federation of n_sites, which share what is under way (transfer_window). Fails with
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_new(size_t n_sites, struct cargo **out);
void cargo_free(struct cargo *cargo);

/* Asks for the model of this hash, at most `max_bytes` long, instead of any other. Nothing
 * happens if it is on its way. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_fetch(struct cargo *cargo,
                                            const uint8_t hash[static HASH_BYTES],
                                            uint64_t max_bytes);

/* A descriptor of the whole model of this hash, the cargo's own; -1 if it is not here. */
int cargo_model(const struct cargo *cargo, const uint8_t hash[static HASH_BYTES]);

/* Keeps `fd`, which is the cargo's from now on, as the update with this Merkle root. Fails with
 * CHOIR_ERR_FORGED (the bytes have another root), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_keep(struct cargo *cargo,
                                           const uint8_t root[static HASH_BYTES], int fd);

/* Begins or goes on with the upload of the kept update. *news is CARGO_UPLOADED if it is there
 * already. Fails with CHOIR_ERR_MISSING (another update is kept) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err cargo_upload(struct cargo *cargo,
                                             const uint8_t root[static HASH_BYTES],
                                             enum cargo_news *news);
void cargo_stop_upload(struct cargo *cargo);

/* The Merkle root of the kept update, and the hash of the model asked for last. */
const uint8_t *cargo_root(const struct cargo *cargo);
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
