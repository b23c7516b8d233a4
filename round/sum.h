/* sum - adds up the vectors of a round, segment by segment, and takes the masks out of the total.
 *
 * The same code makes the aggregator's sum, a relay's part of it and an auditor's recomputation:
 * lanes of 16 or 32 bits add modulo 2^16 or 2^32, so every order gives the same bytes. Vectors
 * are read in blocks across all of them, so that the total stays in the first-level cache and
 * is not fetched once for each vector; then every mask is applied to the whole segment while
 * it is in the second-level cache. Memory: one segment, the caller's, and a few blocks.
 *
 * One object belongs to one thread; several may share a maskset and a source that allows it.
 */
#ifndef CHOIR_ROUND_SUM_H
#define CHOIR_ROUND_SUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/maskset.h"

/* Reads bytes [offset, offset + len) of vector i < n to to[0..len); what it fails with is what
 * sum_segment() fails with. */
typedef enum choir_err sum_read(void *context, size_t i, uint64_t offset, uint8_t *to, size_t len);

/* The vectors that are added. */
struct sum_source {
    sum_read *read;
    void *context;
    size_t n;
};

struct sum;

/* `unmask` (borrowed until sum_close(); NULL: nothing is masked) holds what is applied to every
 * sum; lane_bits is 16 or 32. Fails with CHOIR_ERR_MEMORY, or CHOIR_ERR_REFUSED if the suite of
 * `unmask` cannot be had. */
CHOIR_MUST_CHECK enum choir_err sum_open(const struct maskset *unmask, unsigned lane_bits,
                                         struct sum **out);
void sum_close(struct sum *sum);

/* total[0..len) = the sum of segment number `segment`, which every vector has at `offset`, with
 * the masks taken out. offset and len are bytes, whole lanes. */
CHOIR_MUST_CHECK enum choir_err sum_segment(struct sum *sum, const struct sum_source *source,
                                            uint32_t segment, uint64_t offset, uint8_t *total,
                                            size_t len);

/* total[0..len) = parts[0] + ... + parts[n - 1], all in memory, masks left alone. */
void sum_parts(unsigned lane_bits, const uint8_t *const *parts, size_t n, uint8_t *total,
               size_t len);

#endif
