/* maskset - every mask that goes onto one vector, or off one sum.
 *
 * A term is a seed and a sign (mask.h). A site's set holds its self mask and one term for each
 * neighbour; the aggregator's holds what is left in the sum after the survivors are added up.
 * Applying the set to the pieces of a vector, in any order and by any threads, is the same as
 * applying each term to the whole. Seeds lie in locked memory (locked.h). */
#ifndef CHOIR_CRYPTO_MASKSET_H
#define CHOIR_CRYPTO_MASKSET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/mask.h"

struct maskset;

/* An empty set with room for `max` terms (at least 1), each expanded by `suite` (enum mask_suite).
 * On CHOIR_OK *out is the caller's, to be freed with maskset_free(). Fails with CHOIR_ERR_REFUSED
 * if the suite is unknown, or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err maskset_new(uint16_t suite, size_t max, struct maskset **out);

/* Wipes and frees; NULL is allowed. */
void maskset_free(struct maskset *set);

/* Adds a term; there is room for it. */
void maskset_add(struct maskset *set, enum mask_sign sign,
                 const uint8_t seed[static MASK_SEED_BYTES]);

size_t maskset_count(const struct maskset *set);
uint16_t maskset_suite(const struct maskset *set);

/* Applies all terms to a piece of segment number `segment`: to lanes[0..len), which begin at byte
 * `offset` of the segment. Lengths and lanes as for mask_apply(). `worker` was opened for the
 * set's suite and belongs to the calling thread; any number of threads may use one set, as long
 * as no term is added. Deriving the key of a term takes about a microsecond, so pieces should not
 * be small; 64 KiB to 256 KiB stay in the second-level cache while all terms pass over them. */
void maskset_apply(const struct maskset *set, struct mask *worker, uint32_t segment,
                   unsigned lane_bits, uint64_t offset, uint8_t *lanes, size_t len);

#endif
