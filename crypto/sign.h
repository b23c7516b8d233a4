/* sign - Ed25519 signatures (RFC 8032), by libsodium. */
#ifndef CHOIR_CRYPTO_SIGN_H
#define CHOIR_CRYPTO_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { SIGN_PUBLIC_BYTES = 32, SIGN_SECRET_BYTES = 64, SIGN_BYTES = 64, SIGN_SEED_BYTES = 32 };

void sign_keypair(uint8_t public_key[static SIGN_PUBLIC_BYTES],
                  uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* The pair that `seed` determines. */
void sign_keypair_from_seed(uint8_t public_key[static SIGN_PUBLIC_BYTES],
                            uint8_t secret_key[static SIGN_SECRET_BYTES],
                            const uint8_t seed[static SIGN_SEED_BYTES]);

void sign_make(uint8_t signature[static SIGN_BYTES], const uint8_t *data, size_t len,
               const uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* Fails with CHOIR_ERR_FORGED if `signature` is not by this key over data[0..len). */
CHOIR_MUST_CHECK enum choir_err sign_check(const uint8_t signature[static SIGN_BYTES],
                                           const uint8_t *data, size_t len,
                                           const uint8_t public_key[static SIGN_PUBLIC_BYTES]);

#endif
