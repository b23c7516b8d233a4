#include "crypto/rng.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/bytes.h"
#include "crypto/hash.h"

enum { BLOCK_BYTES = 4096, KEY_BYTES = crypto_stream_chacha20_KEYBYTES };

struct rng {
    uint8_t key[KEY_BYTES];     // of the next refill
    uint8_t block[BLOCK_BYTES]; // what the last refill gave
    size_t used;                // bytes of it already handed out, and wiped
};

enum choir_err rng_start(void)
{
    return sodium_init() < 0 ? CHOIR_ERR_IO : CHOIR_OK;
}

void rng_bytes(void *to, size_t len)
{
    randombytes_buf(to, len);
}

void rng_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

enum choir_err rng_open_seeded(const char *purpose, const uint8_t seed[static RNG_SEED_BYTES],
                               struct rng **out)
{
    struct rng *rng = sodium_malloc(sizeof *rng);

    if (rng == NULL)
        return CHOIR_ERR_MEMORY;
    hash_mac(rng->key, seed, RNG_SEED_BYTES, purpose, strlen(purpose));
    rng->used = BLOCK_BYTES;
    *out = rng;
    return CHOIR_OK;
}

enum choir_err rng_open(const char *purpose, struct rng **out)
{
    enum choir_err err;
    uint8_t seed[RNG_SEED_BYTES];

    rng_bytes(seed, sizeof seed);
    err = rng_open_seeded(purpose, seed, out);
    rng_wipe(seed, sizeof seed);
    return err;
}

void rng_close(struct rng *rng)
{
    sodium_free(rng); // wipes, and allows NULL
}

// Fast key erasure: the first bytes of each block become the next key and are never handed out.
static void refill(struct rng *rng)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    crypto_stream_chacha20(rng->block, sizeof rng->block, nonce, rng->key);
    memcpy(rng->key, rng->block, KEY_BYTES);
    sodium_memzero(rng->block, KEY_BYTES);
    rng->used = KEY_BYTES;
}

void rng_fill(struct rng *rng, void *to, size_t len)
{
    uint8_t *at = to;

    while (len > 0) {
        size_t piece;

        if (rng->used == BLOCK_BYTES)
            refill(rng);
        piece = BLOCK_BYTES - rng->used < len ? BLOCK_BYTES - rng->used : len;
        memcpy(at, rng->block + rng->used, piece);
        sodium_memzero(rng->block + rng->used, piece);
        rng->used += piece;
        at += piece;
        len -= piece;
    }
}

uint64_t rng_u64(struct rng *rng)
{
    uint8_t bytes[8];

    rng_fill(rng, bytes, sizeof bytes);
    return get_u64(bytes);
}

double rng_unit(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    uint64_t skip = (0 - bound) % bound; // 2^64 mod bound: values below it would be favoured
    uint64_t value;

    do {
        value = rng_u64(rng);
    } while (value < skip);
    return value % bound;
}
