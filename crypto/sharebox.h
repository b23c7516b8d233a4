/* sharebox - the two shares that one site gives another, sealed for it alone.
 *
 * XChaCha20-Poly1305 under the key of agree_share_key(), which is made for one box, so the nonce
 * is 0; bound to R1 || from || to, so that a box of another round or pair does not open. Source:
 * SA1, step 2; draft-irtf-cfrg-xchacha-03. */
#ifndef CHOIR_CRYPTO_SHAREBOX_H
#define CHOIR_CRYPTO_SHAREBOX_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/agree.h"
#include "crypto/shamir.h"

enum {
    SHAREBOX_PAIR_BYTES = 2 * SHAMIR_SCALAR_BYTES, // share of rho, share of b
    SHAREBOX_BYTES = SHAREBOX_PAIR_BYTES + 16,     // with its tag
};

/* Seals `pair`. One key seals one box: a second one under the same key would show the
 * difference of the two. */
void sharebox_seal(uint8_t box[static SHAREBOX_BYTES],
                   const uint8_t pair[static SHAREBOX_PAIR_BYTES],
                   const uint8_t key[static AGREE_SECRET_BYTES],
                   const uint8_t r1[static HASH_BYTES], uint32_t from, uint32_t to);

/* Opens what sharebox_seal() made. Fails with CHOIR_ERR_FORGED if it was not made under this key
 * for this R1, sender and receiver; `pair` is untouched then. */
CHOIR_MUST_CHECK enum choir_err sharebox_open(uint8_t pair[static SHAREBOX_PAIR_BYTES],
                                              const uint8_t box[static SHAREBOX_BYTES],
                                              const uint8_t key[static AGREE_SECRET_BYTES],
                                              const uint8_t r1[static HASH_BYTES], uint32_t from,
                                              uint32_t to);

#endif
