#include "crypto/curve.h"

#include <assert.h>

#include <sodium.h>

void curve_keypair(uint8_t public_key[static CURVE_KEY_BYTES],
                   uint8_t secret_key[static CURVE_KEY_BYTES])
{
    crypto_box_keypair(public_key, secret_key);
}

void curve_public(uint8_t public_key[static CURVE_KEY_BYTES],
                  const uint8_t secret_key[static CURVE_KEY_BYTES])
{
    int good = crypto_scalarmult_base(public_key, secret_key);

    assert(good == 0);
}
