#include "crypto/hkdf.h"

#include <assert.h>
#include <string.h>
#include <threads.h>

#include <openssl/evp.h>

#include "crypto/rng.h"

enum {
    BLOCK_BYTES = 64, // of both hashes
    INNER_PAD = 0x36,
    OUTER_PAD = 0x5c,
    PIECES_MAX = 3, // that are authenticated one after the other
};

// Fetched once: looking an algorithm up by name would cost as much as a short message does. NULL
// where the library lacks the hash.
static EVP_MD *digests[2];

static void look_up(void)
{
    digests[HKDF_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
    digests[HKDF_SM3] = EVP_MD_fetch(NULL, "SM3", NULL);
}

bool hkdf_offers(enum hkdf_hash hash)
{
    static once_flag looked_up = ONCE_FLAG_INIT;

    call_once(&looked_up, look_up);
    return digests[hash] != NULL;
}

struct piece {
    const void *at;
    size_t len;
};

// The hash of all pieces.
static void digest(const EVP_MD *md, EVP_MD_CTX *context, uint8_t to[static HKDF_PRK_BYTES],
                   const struct piece *pieces, size_t n)
{
    unsigned len = 0;
    bool good = EVP_DigestInit_ex2(context, md, NULL) == 1;

    for (size_t i = 0; i < n; i++)
        good = good && EVP_DigestUpdate(context, pieces[i].at, pieces[i].len) == 1;
    good = good && EVP_DigestFinal_ex(context, to, &len) == 1;
    assert(good && len == HKDF_PRK_BYTES);
}

static void pad(uint8_t block[static BLOCK_BYTES], const uint8_t *key, size_t len, uint8_t with)
{
    memset(block, with, BLOCK_BYTES);
    for (size_t i = 0; i < len; i++)
        block[i] ^= key[i];
}

// HMAC (RFC 2104) over the hash itself: the library's own takes five times as long to set up, and
// every segment of every mask has a key of its own.
static void authenticate(enum hkdf_hash hash, uint8_t mac[static HKDF_PRK_BYTES], struct piece key,
                         const struct piece *pieces, size_t n)
{
    bool good = hkdf_offers(hash);
    EVP_MD_CTX *context = good ? EVP_MD_CTX_new() : NULL;
    uint8_t block[BLOCK_BYTES], inner[HKDF_PRK_BYTES], short_key[HKDF_PRK_BYTES];
    struct piece inside[1 + PIECES_MAX] = {{block, sizeof block}};

    assert(context != NULL && n <= PIECES_MAX);
    if (key.len > sizeof block) {
        digest(digests[hash], context, short_key, &key, 1);
        key = (struct piece){short_key, sizeof short_key};
    }
    pad(block, key.at, key.len, INNER_PAD);
    memcpy(&inside[1], pieces, n * sizeof *pieces);
    digest(digests[hash], context, inner, inside, 1 + n);
    pad(block, key.at, key.len, OUTER_PAD);
    inside[1] = (struct piece){inner, sizeof inner};
    digest(digests[hash], context, mac, inside, 2);
    EVP_MD_CTX_free(context); // wipes
    rng_wipe(block, sizeof block);
    rng_wipe(inner, sizeof inner);
    rng_wipe(short_key, sizeof short_key);
}

void hkdf_extract(enum hkdf_hash hash, uint8_t prk[static HKDF_PRK_BYTES], const void *salt,
                  size_t salt_len, const void *secret, size_t secret_len)
{
    authenticate(hash, prk, (struct piece){salt, salt_len}, &(struct piece){secret, secret_len}, 1);
}

void hkdf_expand(enum hkdf_hash hash, uint8_t *out, size_t out_len,
                 const uint8_t prk[static HKDF_PRK_BYTES], const void *info, size_t info_len)
{
    uint8_t block[HKDF_PRK_BYTES], number = 0;

    assert(out_len <= HKDF_OUT_MAX);
    for (size_t at = 0, piece; at < out_len; at += piece) {
        const struct piece pieces[] = {
            {block, number == 0 ? 0 : sizeof block}, {info, info_len}, {&number, 1}};

        number++;
        authenticate(hash, block, (struct piece){prk, HKDF_PRK_BYTES}, pieces, 3);
        piece = out_len - at < sizeof block ? out_len - at : sizeof block;
        memcpy(out + at, block, piece);
    }
    rng_wipe(block, sizeof block);
}

void hkdf_derive(uint8_t *out, size_t out_len, const void *secret, size_t secret_len,
                 const void *salt, size_t salt_len, const void *info, size_t info_len)
{
    uint8_t prk[HKDF_PRK_BYTES];

    hkdf_extract(HKDF_SHA256, prk, salt, salt_len, secret, secret_len);
    hkdf_expand(HKDF_SHA256, out, out_len, prk, info, info_len);
    rng_wipe(prk, sizeof prk);
}
