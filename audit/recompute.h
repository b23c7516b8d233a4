/* recompute - the sum of a round made again from the sites' masked vectors and a checked proof. */
#ifndef CHOIR_AUDIT_RECOMPUTE_H
#define CHOIR_AUDIT_RECOMPUTE_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "round/proof.h"

/* paths[i] is the file of the vector of proof->u.id[i]. First each is checked against the root that
 * its site signed; then they are added up, the masks taken out, and *sum_hash is the SHA-256 of the
 * sum, as the log has it. Fails with CHOIR_ERR_FORGED (a vector is not what its site signed, or the
 * sum does not count the sites), CHOIR_ERR_FORMAT (the proof's sizes do not fit each other),
 * CHOIR_ERR_REFUSED (the suite cannot be had here), CHOIR_ERR_IO or CHOIR_ERR_MEMORY; diag says
 * where. */
CHOIR_MUST_CHECK enum choir_err recompute_sum(const struct proof_result *proof,
                                              const char *const *paths,
                                              uint8_t sum_hash[static HASH_BYTES],
                                              struct choir_diag *diag);

#endif
