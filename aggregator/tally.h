/* tally - the sum of some masked vectors, made into a file and named by its Merkle root.
 *
 * A vector is added only if the file of it still has the root under which it was taken.
 */
#ifndef CHOIR_AGGREGATOR_TALLY_H
#define CHOIR_AGGREGATOR_TALLY_H

#include <stdint.h>

#include "aggregator/intake.h"
#include "base/err.h"
#include "wire/relay.h"
#include "wire/source.h"

/* A sum that can be served; plain data. All zero but fd = -1: there is none. */
struct tally {
    int fd;
    struct source *source; // of the sum; its id is its root
};

void tally_init(struct tally *tally);
void tally_release(struct tally *tally);

/* Adds up what `sum` (a RELAY_SUM) names, from `intake`, modulo 2^lane_bits, into a file in the
 * folder `folder` that has no name there: it goes with the program, as the same question gives
 * the same bytes again. Fails with CHOIR_ERR_MISSING (the vector of *site is not here, has another length
 * or is not what it was), CHOIR_ERR_FORMAT (no such shape), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err tally_make(struct tally *tally, const struct intake *intake,
                                           int folder, const struct relay_letter *sum,
                                           uint32_t *site);

#endif
