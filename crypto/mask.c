#include "crypto/mask.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "base/bytes.h"
#include "crypto/hkdf.h"

/* Chosen by the processor's features when the program is loaded. Sanitizers are not ready when
 * that choice is made, hence the test. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    BLOCK_BYTES = 2048, // of keystream at a time: short enough to fetch its lanes meanwhile
    TILE_BYTES = 256,   // of lanes in one step of the loop, whole registers of any width
    GRAIN_BYTES = 64,   // the keystream starts at a multiple: whole blocks of every cipher
    KEY_MAX = 32,
    IV_BYTES = 16, // all three take 16 bytes; the counter stands where iv_at() puts it
};

struct suite {
    const char *cipher;
    size_t key_bytes, counter_bytes;
    enum hkdf_hash hash;
    bool big_endian; // the counter, in the last bytes of the IV; else in the first
};

static const struct suite suites[] = {
    [MASK_AES256] = {"AES-256-CTR", 32, 16, HKDF_SHA256, true},
    [MASK_CHACHA20] = {"ChaCha20", 32, 64, HKDF_SHA256, false},
    [MASK_SM4] = {"SM4-CTR", 16, 16, HKDF_SM3, true},
};

struct mask {
    uint8_t block[BLOCK_BYTES + GRAIN_BYTES]; // keystream, wiped after each use
    const struct suite *suite;
    EVP_CIPHER_CTX *context;
    uint16_t number; // of the suite
    bool begun;
};

static const uint8_t zeros[BLOCK_BYTES + GRAIN_BYTES];

enum choir_err mask_open(uint16_t suite, struct mask **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct mask *mask = NULL;
    EVP_CIPHER *cipher = NULL;

    if (suite < MASK_AES256 || suite > MASK_SM4 || !hkdf_offers(suites[suite].hash))
        return CHOIR_ERR_REFUSED;
    cipher = EVP_CIPHER_fetch(NULL, suites[suite].cipher, NULL);
    if (cipher == NULL)
        return CHOIR_ERR_REFUSED;
    mask = sodium_malloc(sizeof *mask);
    if (mask == NULL)
        goto out;
    *mask = (struct mask){.suite = &suites[suite], .number = suite};
    mask->context = EVP_CIPHER_CTX_new();
    if (mask->context == NULL || EVP_EncryptInit_ex2(mask->context, cipher, NULL, NULL, NULL) != 1)
        goto out;

    *out = mask;
    mask = NULL; // now the caller's
    err = CHOIR_OK;
out:
    EVP_CIPHER_free(cipher); // the context holds its own reference
    mask_close(mask);
    return err;
}

void mask_close(struct mask *mask)
{
    if (mask == NULL)
        return;
    EVP_CIPHER_CTX_free(mask->context); // wipes the key
    sodium_free(mask);                  // wipes
}

uint16_t mask_suite(const struct mask *mask)
{
    return mask->number;
}

void mask_begin(struct mask *mask, const uint8_t seed[static MASK_SEED_BYTES], uint32_t segment)
{
    uint8_t info[3 + 2 + 4], key[KEY_MAX];
    int good;

    (void)put_u32(put_u16(put_bytes(info, "prg", 3), mask->number), segment);
    hkdf_expand(mask->suite->hash, key, mask->suite->key_bytes, seed, info, sizeof info);
    good = EVP_EncryptInit_ex2(mask->context, NULL, key, NULL, NULL);
    sodium_memzero(key, sizeof key);
    assert(good == 1);
    mask->begun = true;
}

// Moves the cipher to byte `offset` of the keystream, a multiple of GRAIN_BYTES.
static void seek(struct mask *mask, uint64_t offset)
{
    uint8_t iv[IV_BYTES] = {0};
    uint64_t counter = offset / mask->suite->counter_bytes;
    int good;

    if (mask->suite->big_endian)
        for (size_t i = 0; i < 8; i++)
            iv[IV_BYTES - 1 - i] = (uint8_t)(counter >> (8 * i));
    else
        (void)put_u64(iv, counter); // below 2^26: the upper half, part of the nonce, stays 0
    good = EVP_EncryptInit_ex2(mask->context, NULL, NULL, iv, NULL);
    assert(good == 1);
}

// The next `len` bytes of keystream into the block.
static void expand(struct mask *mask, size_t len)
{
    int written = 0, good;

    assert(len <= sizeof mask->block);
    good = EVP_EncryptUpdate(mask->context, mask->block, &written, zeros, (int)len);
    assert(good == 1 && (size_t)written == len);
}

// Asks for lanes that are needed as soon as their keystream is there: a vector in memory comes
// while the cipher works.
static void fetch_ahead(const uint8_t *lanes, size_t len)
{
    for (size_t i = 0; i < len; i += 64)
        __builtin_prefetch(lanes + i, 1, 2);
}

INLINE void add32(uint8_t *restrict lanes, const uint8_t *restrict stream, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
        uint32_t lane, step;

        memcpy(&lane, lanes + i, sizeof lane);
        memcpy(&step, stream + i, sizeof step);
        lane = htole32(le32toh(lane) + le32toh(step));
        memcpy(lanes + i, &lane, sizeof lane);
    }
}

INLINE void subtract32(uint8_t *restrict lanes, const uint8_t *restrict stream, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
        uint32_t lane, step;

        memcpy(&lane, lanes + i, sizeof lane);
        memcpy(&step, stream + i, sizeof step);
        lane = htole32(le32toh(lane) - le32toh(step));
        memcpy(lanes + i, &lane, sizeof lane);
    }
}

INLINE void add16(uint8_t *restrict lanes, const uint8_t *restrict stream, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(uint16_t)) {
        uint16_t lane, step;

        memcpy(&lane, lanes + i, sizeof lane);
        memcpy(&step, stream + i, sizeof step);
        lane = htole16((uint16_t)(le16toh(lane) + le16toh(step)));
        memcpy(lanes + i, &lane, sizeof lane);
    }
}

INLINE void subtract16(uint8_t *restrict lanes, const uint8_t *restrict stream, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(uint16_t)) {
        uint16_t lane, step;

        memcpy(&lane, lanes + i, sizeof lane);
        memcpy(&step, stream + i, sizeof step);
        lane = htole16((uint16_t)(le16toh(lane) - le16toh(step)));
        memcpy(lanes + i, &lane, sizeof lane);
    }
}

typedef void combine(uint8_t *restrict lanes, const uint8_t *restrict stream, size_t len);

// Tiles have a constant length, so that their loop becomes straight vector code; then the rest.
INLINE void in_tiles(combine *step, uint8_t *restrict lanes, const uint8_t *restrict stream,
                     size_t len)
{
    size_t at = 0;

    for (; len - at >= TILE_BYTES; at += TILE_BYTES)
        step(lanes + at, stream + at, TILE_BYTES);
    step(lanes + at, stream + at, len - at);
}

CLONES static void combine_block(enum mask_sign sign, unsigned lane_bits, uint8_t *restrict lanes,
                                 const uint8_t *restrict stream, size_t len)
{
    if (lane_bits == 32 && sign == MASK_ADD)
        in_tiles(add32, lanes, stream, len);
    else if (lane_bits == 32)
        in_tiles(subtract32, lanes, stream, len);
    else if (sign == MASK_ADD)
        in_tiles(add16, lanes, stream, len);
    else
        in_tiles(subtract16, lanes, stream, len);
}

void mask_apply(struct mask *mask, enum mask_sign sign, unsigned lane_bits, uint64_t offset,
                uint8_t *lanes, size_t len)
{
    size_t skip = (size_t)(offset % GRAIN_BYTES); // keystream before `offset`, in the first block

    assert(mask->begun && (lane_bits == 16 || lane_bits == 32));
    assert(offset % (lane_bits / 8) == 0 && len % (lane_bits / 8) == 0);
    assert(offset <= MASK_SEGMENT_MAX && len <= MASK_SEGMENT_MAX - offset);
    seek(mask, offset - skip);
    for (size_t at = 0, piece; at < len; at += piece, skip = 0) {
        piece = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        fetch_ahead(lanes + at, piece);
        expand(mask, skip + piece);
        combine_block(sign, lane_bits, lanes + at, mask->block + skip, piece);
    }
    sodium_memzero(mask->block, len < BLOCK_BYTES ? GRAIN_BYTES + len : sizeof mask->block);
}

void mask_stream(struct mask *mask, uint64_t offset, uint8_t *to, size_t len)
{
    size_t skip = (size_t)(offset % GRAIN_BYTES);

    assert(mask->begun);
    assert(offset <= MASK_SEGMENT_MAX && len <= MASK_SEGMENT_MAX - offset);
    seek(mask, offset - skip);
    for (size_t at = 0, piece; at < len; at += piece, skip = 0) {
        piece = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        expand(mask, skip + piece);
        memcpy(to + at, mask->block + skip, piece);
    }
    sodium_memzero(mask->block, len < BLOCK_BYTES ? GRAIN_BYTES + len : sizeof mask->block);
}
