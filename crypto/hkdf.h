/* hkdf - keys derived from a secret: extract and expand, over HMAC with SHA-256 or SM3.
 *
 * Source: RFC 5869. A key that is derived for one purpose says nothing about the key of
 * another, as long as their labels (`info`) differ. */
#ifndef CHOIR_CRYPTO_HKDF_H
#define CHOIR_CRYPTO_HKDF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hkdf_hash { HKDF_SHA256, HKDF_SM3 };

enum { HKDF_PRK_BYTES = 32, HKDF_OUT_MAX = 255 * HKDF_PRK_BYTES };

/* Whether the crypto library has this hash; SHA-256 is always there. */
bool hkdf_offers(enum hkdf_hash hash);

/* All three abort the process if the crypto library fails or does not offer `hash`: a wrong key
 * must never be mistaken for a right one. Any length from outside may be 0, with a pointer that
 * is not NULL. */
void hkdf_extract(enum hkdf_hash hash, uint8_t prk[static HKDF_PRK_BYTES], const void *salt,
                  size_t salt_len, const void *secret, size_t secret_len);

/* Fills out[0..out_len), out_len <= HKDF_OUT_MAX. */
void hkdf_expand(enum hkdf_hash hash, uint8_t *out, size_t out_len,
                 const uint8_t prk[static HKDF_PRK_BYTES], const void *info, size_t info_len);

/* Extract and expand in one step, with SHA-256. */
void hkdf_derive(uint8_t *out, size_t out_len, const void *secret, size_t secret_len,
                 const void *salt, size_t salt_len, const void *info, size_t info_len);

#endif
