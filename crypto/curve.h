/* curve - X25519 key pairs (RFC 7748): who stands at the two ends of a link (ZeroMQ CURVE). */
#ifndef CHOIR_CRYPTO_CURVE_H
#define CHOIR_CRYPTO_CURVE_H

#include <stdint.h>

#include "base/err.h"

enum { CURVE_KEY_BYTES = 32 };

void curve_keypair(uint8_t public_key[static CURVE_KEY_BYTES],
                   uint8_t secret_key[static CURVE_KEY_BYTES]);

/* The public key that belongs to `secret_key`. */
void curve_public(uint8_t public_key[static CURVE_KEY_BYTES],
                  const uint8_t secret_key[static CURVE_KEY_BYTES]);

#endif
