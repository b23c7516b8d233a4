#include "crypto/agree.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "base/bytes.h"
#include "crypto/hkdf.h"

enum {
    LABEL_MAX = 16 + 4 + 4, // a label and two ids
    STACK_USED = 8192,      // by the libraries below us, which leave parts of secrets there
};

// HKDF(secret, salt, label || ids): 32 bytes.
static void derive(uint8_t to[static AGREE_SECRET_BYTES],
                   const uint8_t secret[static AGREE_SECRET_BYTES],
                   const uint8_t salt[static HASH_BYTES], const char *label, const uint32_t *ids,
                   size_t n_ids)
{
    uint8_t info[LABEL_MAX], *end = put_bytes(info, label, strlen(label));

    for (size_t k = 0; k < n_ids; k++)
        end = put_u32(end, ids[k]);
    hkdf_derive(to, AGREE_SECRET_BYTES, secret, AGREE_SECRET_BYTES, salt, HASH_BYTES, info,
                (size_t)(end - info));
    sodium_stackzero(STACK_USED);
}

// The points of order 1, 2, 4 and 8 of the curve and its twist, as their u coordinates below 2^255.
static const uint8_t weak_keys[][CURVE_KEY_BYTES] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
     0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
     0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

bool agree_is_weak(const uint8_t public_key[static CURVE_KEY_BYTES])
{
    uint8_t key[CURVE_KEY_BYTES];

    memcpy(key, public_key, sizeof key);
    key[CURVE_KEY_BYTES - 1] &= 0x7f; // X25519 does not look at the highest bit
    for (size_t i = 0; i < sizeof weak_keys / sizeof weak_keys[0]; i++)
        if (memcmp(key, weak_keys[i], sizeof key) == 0)
            return true;
    return false;
}

enum choir_err agree_shared(uint8_t shared[static AGREE_SECRET_BYTES],
                            const uint8_t secret_key[static CURVE_KEY_BYTES],
                            const uint8_t public_key[static CURVE_KEY_BYTES])
{
    uint8_t point[crypto_scalarmult_BYTES];
    enum choir_err err = CHOIR_ERR_FORMAT;

    if (crypto_scalarmult(point, secret_key, public_key) == 0) { // not 0: a key of low order
        memcpy(shared, point, sizeof point);
        err = CHOIR_OK;
    }
    sodium_memzero(point, sizeof point);
    sodium_stackzero(STACK_USED);
    return err;
}

void agree_mask_key(uint8_t public_key[static CURVE_KEY_BYTES],
                    uint8_t secret_key[static CURVE_KEY_BYTES],
                    const uint8_t rho[static AGREE_SECRET_BYTES],
                    const uint8_t r0[static HASH_BYTES])
{
    derive(secret_key, rho, r0, "mask-sk", NULL, 0);
    curve_public(public_key, secret_key);
}

void agree_commitment(uint8_t commitment[static HASH_BYTES], const uint8_t r0[static HASH_BYTES],
                      uint32_t i, const uint8_t b[static AGREE_SECRET_BYTES])
{
    static const char label[] = "CHOIR-SA1/com";
    uint8_t text[sizeof label - 1 + HASH_BYTES + 4 + AGREE_SECRET_BYTES];
    uint8_t *end = put_bytes(text, label, sizeof label - 1);

    end = put_bytes(end, r0, HASH_BYTES);
    end = put_u32(end, i);
    end = put_bytes(end, b, AGREE_SECRET_BYTES);
    hash_bytes(commitment, text, (size_t)(end - text));
    sodium_memzero(text, sizeof text);
    sodium_stackzero(STACK_USED);
}

enum choir_err agree_check_commitment(const uint8_t commitment[static HASH_BYTES],
                                      const uint8_t r0[static HASH_BYTES], uint32_t i,
                                      const uint8_t b[static AGREE_SECRET_BYTES])
{
    uint8_t expected[HASH_BYTES];

    agree_commitment(expected, r0, i, b);
    return sodium_memcmp(expected, commitment, HASH_BYTES) == 0 ? CHOIR_OK : CHOIR_ERR_FORGED;
}

// Agreement and derivation in one step.
static enum choir_err agree(uint8_t to[static AGREE_SECRET_BYTES],
                            const uint8_t secret_key[static CURVE_KEY_BYTES],
                            const uint8_t public_key[static CURVE_KEY_BYTES],
                            const uint8_t salt[static HASH_BYTES], const char *label,
                            const uint32_t ids[static 2])
{
    uint8_t shared[AGREE_SECRET_BYTES];
    enum choir_err err = agree_shared(shared, secret_key, public_key);

    if (err == CHOIR_OK)
        derive(to, shared, salt, label, ids, 2);
    sodium_memzero(shared, sizeof shared);
    return err;
}

enum choir_err agree_share_key(uint8_t key[static AGREE_SECRET_BYTES],
                               const uint8_t secret_key[static CURVE_KEY_BYTES],
                               const uint8_t public_key[static CURVE_KEY_BYTES],
                               const uint8_t r1[static HASH_BYTES], uint32_t from, uint32_t to)
{
    assert(from != to);
    return agree(key, secret_key, public_key, r1, "share", (const uint32_t[]){from, to});
}

void agree_share_key_of(uint8_t key[static AGREE_SECRET_BYTES],
                        const uint8_t shared[static AGREE_SECRET_BYTES],
                        const uint8_t r1[static HASH_BYTES], uint32_t from, uint32_t to)
{
    assert(from != to);
    derive(key, shared, r1, "share", (const uint32_t[]){from, to}, 2);
}

enum choir_err agree_pair_seed(uint8_t seed[static AGREE_SECRET_BYTES],
                               const uint8_t secret_key[static CURVE_KEY_BYTES],
                               const uint8_t public_key[static CURVE_KEY_BYTES],
                               const uint8_t r2[static HASH_BYTES], uint32_t i, uint32_t j)
{
    assert(i != j);
    return agree(seed, secret_key, public_key, r2, "pair",
                 i < j ? (const uint32_t[]){i, j} : (const uint32_t[]){j, i});
}

void agree_self_seed(uint8_t seed[static AGREE_SECRET_BYTES],
                     const uint8_t b[static AGREE_SECRET_BYTES],
                     const uint8_t r2[static HASH_BYTES], uint32_t i)
{
    derive(seed, b, r2, "self", &i, 1);
}
