/* snapshot - the global model of a round as the bytes that travel, named by their hash.
 *
 * "CHOIRMDL", version u32 = 1, plan hash[32], round u64 (0: the initial model), n u64, then
 * n float32; little-endian. Its SHA-256 is the model hash that every round binds.
 */
#ifndef CHOIR_TRAIN_SNAPSHOT_H
#define CHOIR_TRAIN_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"

enum { SNAPSHOT_HEAD_BYTES = 8 + 4 + HASH_BYTES + 8 + 8 };

/* Bytes of a snapshot of n parameters. */
size_t snapshot_len(size_t n_params);

/* Writes the head; the floats follow it in memory, put by snapshot_put(). */
void snapshot_head(uint8_t head[static SNAPSHOT_HEAD_BYTES],
                   const uint8_t plan_hash[static HASH_BYTES], uint64_t round_no, size_t n_params);

/* Writes count floats as little-endian bytes, 4 * count of them. */
void snapshot_put(uint8_t *to, const float *params, size_t count);

/* The reverse of the two, for a file that is read piece by piece. snapshot_head_get() fails with
 * CHOIR_ERR_FORMAT if it is not the head of a snapshot of exactly n_params parameters of the plan
 * `plan_hash`; snapshot_take() if a float is not finite, and params is then unspecified. */
CHOIR_MUST_CHECK enum choir_err snapshot_head_get(const uint8_t head[static SNAPSHOT_HEAD_BYTES],
                                                  const uint8_t plan_hash[static HASH_BYTES],
                                                  size_t n_params, uint64_t *round_no);
CHOIR_MUST_CHECK enum choir_err snapshot_take(float *params, const uint8_t *from, size_t count);

/* Reads bytes[0..len) into params [n_params]. Fails with CHOIR_ERR_FORMAT if it is not a
 * snapshot of exactly n_params finite parameters of the plan `plan_hash`; params is then
 * unspecified. *round_no is the round that made it. */
CHOIR_MUST_CHECK enum choir_err snapshot_get(const uint8_t *bytes, size_t len,
                                             const uint8_t plan_hash[static HASH_BYTES],
                                             size_t n_params, float *params, uint64_t *round_no);

#endif
