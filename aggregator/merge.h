/* merge - the sum of a round's vectors, on as many threads as there are processors.
 *
 * Each thread takes the next segment, adds it up, takes the masks out (round/sum) and hands it to
 * the caller; hashes of the segments are then taken in their order, so that what comes out, which
 * segment is named when something is wrong included, does not depend on the threads.
 * Memory is one segment and a few blocks for each thread, whatever the number of sites.
 */
#ifndef CHOIR_AGGREGATOR_MERGE_H
#define CHOIR_AGGREGATOR_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "privacy/quantize.h"
#include "round/sum.h"

enum {
    MERGE_THREADS_MAX = 16,
    MERGE_SEGMENT_BYTES_MAX = QUANTIZE_SEGMENT_LANES * 4,
};

/* The sum of one segment, at most MERGE_SEGMENT_BYTES_MAX bytes. Called from thread `worker` <
 * job.threads, each segment once, in any order and several at a time; what it fails with ends
 * the merge. */
typedef enum choir_err merge_take(void *context, size_t worker, size_t segment,
                                  const uint8_t *total, size_t len);

struct merge_job {
    const struct quantize_layout *layout;
    struct sum_source source;     // is read from several threads
    const struct maskset *unmask; // NULL: nothing is masked
    size_t threads;               // 1 to MERGE_THREADS_MAX
    merge_take *take;
    void *context;
};

/* Vectors that lie in files, for sum_source; any number of threads may read. */
struct merge_files {
    const int *fds; // [n], read with pread
};
enum choir_err merge_read_files(void *files, size_t i, uint64_t offset, uint8_t *to, size_t len);

/* Processors that this process may use, 1 to MERGE_THREADS_MAX. */
size_t merge_threads(void);

/* sum_hash: SHA-256 of all segments one after the other. Fails with what reading or `take`
 * failed with for the first such segment, or with CHOIR_ERR_MEMORY; diag then names it. */
CHOIR_MUST_CHECK enum choir_err merge_run(const struct merge_job *job,
                                          uint8_t sum_hash[static HASH_BYTES],
                                          struct choir_diag *diag);

/* digests[i] = SHA-256 of vector i as it is read, `bytes` long, for all of the source. Fails with
 * what reading failed with or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err merge_digests(const struct sum_source *source, uint64_t bytes,
                                              size_t threads, uint8_t (*digests)[HASH_BYTES]);

#endif
