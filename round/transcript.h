/* transcript - the chain of hashes R0..R3 that binds every message of an attempt to what the
 * aggregator told everybody before it.
 *
 *   R0 = H("CHOIR-SA1/0" || roster hash || ROUND_OPEN body)
 *   R1 = H("CHOIR-SA1/1" || R0 || (id, H(ADVERTISE body)) of V1, ascending)
 *   R2 = H("CHOIR-SA1/2" || R1 || (id, H(SHARES body)) of V2, ascending)
 *   R3 = H("CHOIR-SA1/3" || R2 || (id, H(MASKED body)) of U, ascending)
 *
 * Ids are u32 little-endian; labels carry no terminating zero. Hashes are over bodies as
 * received, so a message that is sent again under a new sequence number is the same message.
 */
#ifndef CHOIR_ROUND_TRANSCRIPT_H
#define CHOIR_ROUND_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "wire/message.h"

/* What the sites of one step said, by ascending id. */
struct said {
    size_t n;
    uint32_t id[MESSAGE_SITES_MAX];
    uint8_t hash[MESSAGE_SITES_MAX][HASH_BYTES]; // of the body
};

/* Both fail with CHOIR_ERR_MEMORY only. */
CHOIR_MUST_CHECK enum choir_err transcript_open(uint8_t r0[static HASH_BYTES],
                                                const uint8_t roster_hash[static HASH_BYTES],
                                                const uint8_t *body, size_t body_len);

/* The next link after `before`; step is 1, 2 or 3. */
CHOIR_MUST_CHECK enum choir_err transcript_next(uint8_t r[static HASH_BYTES], unsigned step,
                                                const uint8_t before[static HASH_BYTES],
                                                const struct said *said);

#endif
