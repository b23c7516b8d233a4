#include "crypto/sign.h"

#include <sodium.h>

void sign_keypair(uint8_t public_key[static SIGN_PUBLIC_BYTES],
                  uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    crypto_sign_keypair(public_key, secret_key);
}

void sign_keypair_from_seed(uint8_t public_key[static SIGN_PUBLIC_BYTES],
                            uint8_t secret_key[static SIGN_SECRET_BYTES],
                            const uint8_t seed[static SIGN_SEED_BYTES])
{
    crypto_sign_seed_keypair(public_key, secret_key, seed);
}

void sign_make(uint8_t signature[static SIGN_BYTES], const uint8_t *data, size_t len,
               const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    crypto_sign_detached(signature, NULL, data, len, secret_key);
}

enum choir_err sign_check(const uint8_t signature[static SIGN_BYTES], const uint8_t *data,
                          size_t len, const uint8_t public_key[static SIGN_PUBLIC_BYTES])
{
    if (crypto_sign_verify_detached(signature, data, len, public_key) != 0)
        return CHOIR_ERR_FORGED;
    return CHOIR_OK;
}
