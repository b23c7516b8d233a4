/* larder - the model that a relay serves to its sites: fetched once from the aggregator, kept by
 * its hash.
 *
 * What is served has the SHA-256 that a signed letter of the aggregator named; it is on disk under
 * that name, so a relay that starts again need not fetch it again. One object belongs to one
 * thread.
 */
#ifndef CHOIR_AGGREGATOR_LARDER_H
#define CHOIR_AGGREGATOR_LARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "wire/bulk.h"
#include "wire/source.h"

struct larder;

/* Keeps its files in `folder`, which exists. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err larder_open(const char *folder, struct larder **out);
void larder_close(struct larder *larder);

/* From now on the model `hash`, at most `max_bytes` long, is wanted: from disk, or from the
 * aggregator. What is served stays until the new one is here. *here: it is already.
 * Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err larder_want(struct larder *larder,
                                            const uint8_t hash[static HASH_BYTES],
                                            uint64_t max_bytes, bool *here);

/* What is served now; NULL: nothing yet. Valid until the next larder_want() or larder_take(). */
const struct source *larder_source(const struct larder *larder);

/* True if `id` is what is being fetched: messages about it are for larder_take(). */
bool larder_is_fetching(const struct larder *larder, const uint8_t id[static HASH_BYTES]);

/* The connection to the aggregator is new. */
void larder_reopen(struct larder *larder);

/* One bulk message of the aggregator about what is fetched. *changed: larder_source() is another
 * one now. Fails with CHOIR_ERR_PEER or CHOIR_ERR_FORGED (nothing of it was kept), CHOIR_ERR_IO or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err larder_take(struct larder *larder,
                                            const struct bulk_message *message, uint64_t now_ms,
                                            bool *changed);

/* The next message for the aggregator; CHOIR_ERR_AGAIN: none now. larder_unsent(): it could not be
 * sent and will be given again. */
CHOIR_MUST_CHECK enum choir_err larder_next(struct larder *larder, uint64_t now_ms, uint8_t *to,
                                            size_t max, size_t *len);
void larder_unsent(struct larder *larder);

#endif
