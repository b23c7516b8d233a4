#include "crypto/sharebox.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "base/bytes.h"

enum { BOUND_BYTES = HASH_BYTES + 4 + 4 }; // R1, sender, receiver

static_assert((int)SHAREBOX_BYTES ==
                  (int)SHAREBOX_PAIR_BYTES + (int)crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "the tag of the cipher");
static_assert((int)AGREE_SECRET_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
              "the key of the cipher");

static const uint8_t zero_nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

static void put_bound(uint8_t bound[static BOUND_BYTES], const uint8_t r1[static HASH_BYTES],
                      uint32_t from, uint32_t to)
{
    (void)put_u32(put_u32(put_bytes(bound, r1, HASH_BYTES), from), to);
}

void sharebox_seal(uint8_t box[static SHAREBOX_BYTES],
                   const uint8_t pair[static SHAREBOX_PAIR_BYTES],
                   const uint8_t key[static AGREE_SECRET_BYTES],
                   const uint8_t r1[static HASH_BYTES], uint32_t from, uint32_t to)
{
    uint8_t bound[BOUND_BYTES];

    put_bound(bound, r1, from, to);
    crypto_aead_xchacha20poly1305_ietf_encrypt(box, NULL, pair, SHAREBOX_PAIR_BYTES, bound,
                                               sizeof bound, NULL, zero_nonce, key);
}

enum choir_err sharebox_open(uint8_t pair[static SHAREBOX_PAIR_BYTES],
                             const uint8_t box[static SHAREBOX_BYTES],
                             const uint8_t key[static AGREE_SECRET_BYTES],
                             const uint8_t r1[static HASH_BYTES], uint32_t from, uint32_t to)
{
    enum choir_err err = CHOIR_ERR_FORGED;
    uint8_t bound[BOUND_BYTES], opened[SHAREBOX_PAIR_BYTES];

    put_bound(bound, r1, from, to);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(opened, NULL, NULL, box, SHAREBOX_BYTES, bound,
                                                   sizeof bound, zero_nonce, key) == 0) {
        memcpy(pair, opened, sizeof opened);
        err = CHOIR_OK;
    }
    sodium_memzero(opened, sizeof opened);
    return err;
}
