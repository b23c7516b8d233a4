/* mask - a pseudorandom vector that is added to an update, or taken away again.
 *
 * A seed and a segment number determine a keystream: key = HKDF-Expand(seed, "prg" || suite ||
 * segment) with the suite as 16 bits and the segment as 32 bits, little-endian; the cipher runs in
 * counter mode with IV 0. Its bytes, read as little-endian lanes of 16 or 32 bits, are the mask;
 * lanes add modulo 2^16 or 2^32, so what one site adds and another takes away is gone from the
 * sum, bit for bit. Any piece of a segment can be masked alone, in any order: the whole equals
 * its pieces. Keystream and lanes meet in one pass, in blocks that stay in the first-level cache.
 *
 * A mask object holds the cipher, looked up once, and the key of one segment, in wiped memory.
 * It belongs to one thread. Source: SA1, notation and step 3; NIST SP 800-38A, RFC 8439,
 * GB/T 32907. */
#ifndef CHOIR_CRYPTO_MASK_H
#define CHOIR_CRYPTO_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum mask_suite {
    MASK_AES256 = 1,   // AES-256-CTR, keys by HKDF-SHA-256
    MASK_CHACHA20 = 2, // ChaCha20, keys by HKDF-SHA-256
    MASK_SM4 = 3,      // SM4-CTR, keys by HKDF-SM3
};

enum mask_sign { MASK_ADD, MASK_SUBTRACT };

enum { MASK_SEED_BYTES = 32 };

#define MASK_SEGMENT_MAX (UINT64_C(1) << 32) // bytes of one segment, so of one key

struct mask;

/* On CHOIR_OK *out is the caller's, to be closed with mask_close(). Fails with CHOIR_ERR_REFUSED
 * if `suite` is none of enum mask_suite or the crypto library does not offer it, or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err mask_open(uint16_t suite, struct mask **out);

/* Wipes and frees; NULL is allowed. */
void mask_close(struct mask *mask);

/* The suite it was opened for. */
uint16_t mask_suite(const struct mask *mask);

/* Chooses the keystream for the calls that follow. This call and the next two abort the process
 * if the crypto library fails: a wrong mask must never be mistaken for a right one. */
void mask_begin(struct mask *mask, const uint8_t seed[static MASK_SEED_BYTES], uint32_t segment);

/* Adds the keystream from `offset` bytes on to lanes[0..len), or subtracts it, in place.
 * `lane_bits` is 16 or 32; `offset` and `len` are bytes, whole lanes, and offset + len <=
 * MASK_SEGMENT_MAX. mask_begin() has been called. */
void mask_apply(struct mask *mask, enum mask_sign sign, unsigned lane_bits, uint64_t offset,
                uint8_t *lanes, size_t len);

/* Writes the keystream itself to to[0..len); any offset within the segment. */
void mask_stream(struct mask *mask, uint64_t offset, uint8_t *to, size_t len);

#endif
