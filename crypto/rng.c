#include "crypto/rng.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "base/bytes.h"
#include "crypto/hash.h"

enum { BLOCK_BYTES = 4096, KEY_BYTES = 32 };

_Static_assert((int)KEY_BYTES == (int)HASH_BYTES, "the first key is a MAC");

struct rng {
    uint8_t key[KEY_BYTES];     // of the next block
    uint8_t block[BLOCK_BYTES]; // the last one that was not made where it was wanted
    size_t used;                // bytes of it already handed out, and wiped
    EVP_CIPHER_CTX *cipher;     // has a key only while rng_fill() runs, as its memory is not locked
};

static const uint8_t zeros[BLOCK_BYTES];

// Fetched once, by rng_start(): later a process may be sealed off from the files OpenSSL reads.
static EVP_CIPHER *chacha20(void)
{
    static EVP_CIPHER *fetched;

    if (fetched == NULL)
        fetched = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
    return fetched;
}

enum choir_err rng_start(void)
{
    return sodium_init() < 0 || chacha20() == NULL ? CHOIR_ERR_IO : CHOIR_OK;
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
    rng->cipher = EVP_CIPHER_CTX_new();
    if (rng->cipher == NULL ||
        EVP_EncryptInit_ex2(rng->cipher, chacha20(), NULL, NULL, NULL) != 1) {
        rng_close(rng);
        return CHOIR_ERR_MEMORY;
    }
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
    if (rng == NULL)
        return;
    EVP_CIPHER_CTX_free(rng->cipher);
    sodium_free(rng); // wipes
}

static void set_key(struct rng *rng, const uint8_t key[static KEY_BYTES])
{
    int good = EVP_EncryptInit_ex2(rng->cipher, NULL, key, zeros, NULL);

    assert(good == 1);
}

// Fast key erasure: the first bytes of each block become the next key and are never handed out.
static void make_block(struct rng *rng, uint8_t *to)
{
    int len = 0, good;

    set_key(rng, rng->key);
    good = EVP_EncryptUpdate(rng->cipher, to, &len, zeros, BLOCK_BYTES);
    assert(good == 1 && len == BLOCK_BYTES);
    memcpy(rng->key, to, KEY_BYTES);
}

static void refill(struct rng *rng)
{
    make_block(rng, rng->block);
    sodium_memzero(rng->block, KEY_BYTES);
    rng->used = KEY_BYTES;
}

// A block whose bytes all go to `to`: its key falls on the bytes before, which are put back.
static void make_in_place(struct rng *rng, uint8_t *to)
{
    uint8_t before[KEY_BYTES];

    memcpy(before, to - KEY_BYTES, KEY_BYTES);
    make_block(rng, to - KEY_BYTES);
    memcpy(to - KEY_BYTES, before, KEY_BYTES);
    sodium_memzero(before, sizeof before);
}

// Hands out what is left of the block, at most len; returns how much that was.
static size_t take(struct rng *rng, uint8_t *to, size_t len)
{
    size_t piece = BLOCK_BYTES - rng->used < len ? BLOCK_BYTES - rng->used : len;

    memcpy(to, rng->block + rng->used, piece);
    sodium_memzero(rng->block + rng->used, piece);
    rng->used += piece;
    return piece;
}

void rng_fill(struct rng *rng, void *to, size_t len)
{
    uint8_t *bytes = to;
    size_t done = 0;
    bool has_key = false;

    while (done < len) {
        if (rng->used < BLOCK_BYTES) {
            done += take(rng, bytes + done, len - done);
            continue;
        }
        has_key = true;
        if (done >= KEY_BYTES && len - done >= BLOCK_BYTES - KEY_BYTES) {
            make_in_place(rng, bytes + done);
            done += BLOCK_BYTES - KEY_BYTES;
        } else {
            refill(rng);
        }
    }
    if (has_key)
        set_key(rng, zeros);
}

uint64_t rng_u64(struct rng *rng)
{
    uint8_t bytes[8];

    if (BLOCK_BYTES - rng->used >= sizeof bytes) { // mostly: a model is drawn number by number
        uint64_t value = get_u64(rng->block + rng->used);

        put_u64(rng->block + rng->used, 0);
        rng->used += sizeof bytes;
        return value;
    }
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
