/* agree - what two sites, or a site and its later self, derive for one round of SA1.
 *
 * Every derived secret is HKDF-SHA-256 with the hash of what everybody was told so far as the
 * salt: who was told something else derives another secret. Site ids enter as 32 bits,
 * little-endian, labels without a terminating zero, fields one after the other.
 * Source: X25519 is RFC 7748; the labels are those of SA1, steps 1 to 3 of a round.
 *
 *     mask secret key   HKDF(rho, R0, "mask-sk")
 *     commitment        SHA-256("CHOIR-SA1/com" || R0 || i || b)
 *     share key         HKDF(X25519(share secret key of i, share key of j), R1, "share" || i || j)
 *     pair seed         HKDF(X25519(mask secret key of i, mask key of j), R2, "pair" || min || max)
 *     self seed         HKDF(b, R2, "self" || i)
 *
 * Functions that take a public key fail with CHOIR_ERR_FORMAT if it is of low order (its shared
 * secret would be known to everybody); what they write stays untouched then. Secret inputs are
 * handled in constant time, and nothing of them is left behind on the stack. */
#ifndef CHOIR_CRYPTO_AGREE_H
#define CHOIR_CRYPTO_AGREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/curve.h"
#include "crypto/hash.h"

enum { AGREE_SECRET_BYTES = 32 };

/* Whether a public key is of low order: its shared secrets are 0 whoever agrees with it. For the
 * whole list of such keys; no agreement is made. */
bool agree_is_weak(const uint8_t public_key[static CURVE_KEY_BYTES]);

/* X25519 of the own secret key and another's public key. Not a key yet: derive one from it. */
CHOIR_MUST_CHECK enum choir_err agree_shared(uint8_t shared[static AGREE_SECRET_BYTES],
                                             const uint8_t secret_key[static CURVE_KEY_BYTES],
                                             const uint8_t public_key[static CURVE_KEY_BYTES]);

/* The mask key pair that `rho` determines; whoever recovers rho can compute it again. */
void agree_mask_key(uint8_t public_key[static CURVE_KEY_BYTES],
                    uint8_t secret_key[static CURVE_KEY_BYTES],
                    const uint8_t rho[static AGREE_SECRET_BYTES],
                    const uint8_t r0[static HASH_BYTES]);

/* What site `i` binds itself to in its advert: the self mask `b` it will use. */
void agree_commitment(uint8_t commitment[static HASH_BYTES], const uint8_t r0[static HASH_BYTES],
                      uint32_t i, const uint8_t b[static AGREE_SECRET_BYTES]);

/* Fails with CHOIR_ERR_FORGED unless `commitment` is that of `b`. Constant time. */
CHOIR_MUST_CHECK enum choir_err agree_check_commitment(const uint8_t commitment[static HASH_BYTES],
                                                       const uint8_t r0[static HASH_BYTES],
                                                       uint32_t i,
                                                       const uint8_t b[static AGREE_SECRET_BYTES]);

/* The key under which site `from` seals shares for site `to` (sharebox.h): used once. Either end
 * computes it, with its own secret share key and the other's public one; from != to. */
CHOIR_MUST_CHECK enum choir_err agree_share_key(uint8_t key[static AGREE_SECRET_BYTES],
                                                const uint8_t secret_key[static CURVE_KEY_BYTES],
                                                const uint8_t public_key[static CURVE_KEY_BYTES],
                                                const uint8_t r1[static HASH_BYTES], uint32_t from,
                                                uint32_t to);

/* The same from what agree_shared() gave for the two share keys: one agreement serves both ways. */
void agree_share_key_of(uint8_t key[static AGREE_SECRET_BYTES],
                        const uint8_t shared[static AGREE_SECRET_BYTES],
                        const uint8_t r1[static HASH_BYTES], uint32_t from, uint32_t to);

/* The seed of the mask that site `i` adds and site `j` takes away; the same at both ends and in
 * either order of i != j. */
CHOIR_MUST_CHECK enum choir_err agree_pair_seed(uint8_t seed[static AGREE_SECRET_BYTES],
                                                const uint8_t secret_key[static CURVE_KEY_BYTES],
                                                const uint8_t public_key[static CURVE_KEY_BYTES],
                                                const uint8_t r2[static HASH_BYTES], uint32_t i,
                                                uint32_t j);

/* The seed of the mask that site `i` adds alone. */
void agree_self_seed(uint8_t seed[static AGREE_SECRET_BYTES],
                     const uint8_t b[static AGREE_SECRET_BYTES],
                     const uint8_t r2[static HASH_BYTES], uint32_t i);

#endif
