/* shamir - a secret split among sites so that any T of them can restore it and fewer learn
 * nothing.
 *
 * Secrets and shares are elements of Z_l, l = 2^252 + 27742317777372353535851937790883648493, the
 * order of ristretto255, as 32 bytes little-endian below l. A site's share is the value at
 * x = site id + 1 of a random polynomial of degree T - 1 whose value at 0 is the secret.
 *
 * A `struct shamir_set` is a list of sites that answered, with the coefficients that restoring
 * needs, computed once and used for every secret that these sites hold. Which sites answered is
 * public; the values of secrets and shares are handled in constant time.
 * Source: Shamir, "How to share a secret", CACM 22(11), 1979; the test of consistency: Cascudo
 * and David, "SCRAPE", ACNS 2017, section 2. */
#ifndef CHOIR_CRYPTO_SHAMIR_H
#define CHOIR_CRYPTO_SHAMIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    SHAMIR_SCALAR_BYTES = 32,
    SHAMIR_WIDE_BYTES = 64,
    SHAMIR_SEED_BYTES = 32,
    SHAMIR_SITES_MAX = 1000,
    SHAMIR_TRIES_MAX = 4096, // lists of T sites that shamir_recover() tries at most
};

struct shamir_share {
    uint8_t bytes[SHAMIR_SCALAR_BYTES];
};

struct shamir_set;

/* A secret that nobody can predict, uniform in Z_l without 0. */
void shamir_random(uint8_t secret[static SHAMIR_SCALAR_BYTES]);

/* `wide`, read as a number of 512 bits little-endian, mod l: uniform in Z_l but for 2^-259 if
 * `wide` is uniform. Constant time. */
void shamir_reduce(uint8_t scalar[static SHAMIR_SCALAR_BYTES],
                   const uint8_t wide[static SHAMIR_WIDE_BYTES]);

/* Whether `scalar` is below l. Constant time. */
bool shamir_is_canonical(const uint8_t scalar[static SHAMIR_SCALAR_BYTES]);

/* Writes the share of each of `sites` into shares[0..n); any `threshold` of them restore
 * `secret`. Fails with CHOIR_ERR_FORMAT unless 1 <= threshold <= n <= SHAMIR_SITES_MAX, all
 * sites differ and none is 2^32 - 1 (its x would be 0 in 32 bits), and `secret` is canonical; or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err shamir_split(const uint8_t secret[static SHAMIR_SCALAR_BYTES],
                                             size_t threshold, const uint32_t *sites, size_t n,
                                             struct shamir_share *shares);

/* The same with a polynomial that `seed`, which nobody else knows and which is used for one secret,
 * determines: its coefficient k = 1 .. threshold - 1 is HKDF-Expand(seed, "coefficient" || k) with k
 * as 32 bits little-endian, 64 bytes, reduced as by shamir_reduce(). */
CHOIR_MUST_CHECK enum choir_err shamir_split_seeded(
    const uint8_t secret[static SHAMIR_SCALAR_BYTES], const uint8_t seed[static SHAMIR_SEED_BYTES],
    size_t threshold, const uint32_t *sites, size_t n, struct shamir_share *shares);

/* Prepares for restoring what these `n` sites, at least `threshold`, hold shares of. On CHOIR_OK
 * *out is the caller's, to be freed with shamir_set_free(). Fails like shamir_split(). */
CHOIR_MUST_CHECK enum choir_err shamir_set_new(const uint32_t *sites, size_t n, size_t threshold,
                                               struct shamir_set **out);

/* NULL is allowed. */
void shamir_set_free(struct shamir_set *set);

/* Restores a secret from the first `threshold` of shares[0..n), in the order of the set's sites,
 * without a look at the rest: a wrong share gives a wrong secret. Fails with CHOIR_ERR_FORMAT if
 * one of them is not canonical. */
CHOIR_MUST_CHECK enum choir_err shamir_combine(const struct shamir_set *set,
                                               const struct shamir_share *shares,
                                               uint8_t secret[static SHAMIR_SCALAR_BYTES]);

/* Whether all n shares, more than `threshold`, lie on one polynomial of degree threshold - 1. With
 * n == threshold there is nothing to compare and the answer is true. A wrong list passes with
 * probability 1 / l, if who made it did not see the set's coefficients, which are random. */
bool shamir_is_consistent(const struct shamir_set *set, const struct shamir_share *shares);

/* Tells whether `secret` is the right one: compares with a commitment or a public key. */
typedef bool shamir_judge(const uint8_t secret[static SHAMIR_SCALAR_BYTES], void *context);

/* Restores a secret although some shares may be wrong: looks for `threshold` shares whose secret
 * `is_right` accepts. On CHOIR_OK bad[0..n) tells which shares do not lie on its polynomial. Tries
 * every choice of sites if there are at most SHAMIR_TRIES_MAX, else that many drawn at random;
 * then a few wrong shares among many are found, many are not. Fails with CHOIR_ERR_FORGED if no
 * choice was accepted, or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err shamir_recover(const struct shamir_set *set,
                                               const struct shamir_share *shares,
                                               shamir_judge *is_right, void *context,
                                               uint8_t secret[static SHAMIR_SCALAR_BYTES],
                                               bool *bad);

#endif
