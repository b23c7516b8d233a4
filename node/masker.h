/* masker - turns a charged update into what leaves the site under secure aggregation.
 *
 * Chunk by chunk: the integers are read from the descriptor that the vault handed out, all masks
 * of the attempt are put on them in place, the leaf is hashed, and the result is written to the
 * scratch file that it is sent from, as often as needed. So each keystream is made once per
 * attempt, the plain integers stand nowhere but in the vault's file and in one locked chunk of
 * memory, and that memory does not grow with the update. Work comes in slices of some
 * milliseconds, so that the caller's other duties go on between them.
 *
 * The plain file is not hashed again. Its SHA-256 was taken of the very bytes that the vault made
 * durable with the charge; a file that the vault hands out a second time, for another attempt, it
 * has checked against that digest; and the descriptor can be read, not written. Nobody outside is
 * told the hash of the plain bytes, so making it here once more would bind nobody to anything.
 * What the site is bound to is the Merkle root of the masked chunks, taken from memory as they are
 * written.
 */
#ifndef CHOIR_NODE_MASKER_H
#define CHOIR_NODE_MASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/maskset.h"
#include "wire/source.h"

struct masker;

/* Everything is borrowed until masker_free(). */
struct masker_job {
    int plain;   // readable: lanes as privacy/quantize.h lays them out
    int scratch; // readable and writable; written from its beginning, any old content is gone
    uint64_t n_parameters;
    uint32_t lane_bits;
    const struct maskset *masks;
};

/* Fails with CHOIR_ERR_FORMAT (lane_bits is not 16 or 32, or the plain file has not the length of
 * such an update), CHOIR_ERR_REFUSED (the crypto library does not offer the suite), CHOIR_ERR_IO
 * or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err masker_new(const struct masker_job *job, struct masker **out);

/* Frees; NULL is allowed. The scratch file stays as it is. */
void masker_free(struct masker *masker);

/* One slice: at least one chunk. *done when all are masked. Fails with CHOIR_ERR_IO (errno says
 * why: ENOSPC is a full disk), after which the masker must be freed. */
CHOIR_MUST_CHECK enum choir_err masker_step(struct masker *masker, bool *done);

/* After the last step: the masked vector as a source, with its Merkle root as its id. It reads the
 * scratch file (borrowed) and is the caller's. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err masker_source(const struct masker *masker, struct source **out);

#endif
