#include "crypto/hash.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

struct hash_stream {
    EVP_MD_CTX *context;
};

// Fetched once: an implicit fetch at every call costs three times the hash of a short message.
static EVP_MD *sha256(void)
{
    static EVP_MD *fetched;

    if (fetched == NULL)
        fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(fetched != NULL);
    return fetched;
}

void hash_bytes(uint8_t hash[static HASH_BYTES], const void *data, size_t len)
{
    int good = EVP_Digest(data, len, hash, NULL, sha256(), NULL);

    assert(good == 1);
}

enum choir_err hash_new(struct hash_stream **out)
{
    struct hash_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return CHOIR_ERR_MEMORY;
    stream->context = EVP_MD_CTX_new();
    if (stream->context == NULL || EVP_DigestInit_ex(stream->context, sha256(), NULL) != 1) {
        hash_free(stream);
        return CHOIR_ERR_MEMORY;
    }
    *out = stream;
    return CHOIR_OK;
}

void hash_free(struct hash_stream *stream)
{
    if (stream == NULL)
        return;
    EVP_MD_CTX_free(stream->context);
    free(stream);
}

void hash_add(struct hash_stream *stream, const void *data, size_t len)
{
    int good = EVP_DigestUpdate(stream->context, data, len);

    assert(good == 1);
}

void hash_end(struct hash_stream *stream, uint8_t hash[static HASH_BYTES])
{
    int good = EVP_DigestFinal_ex(stream->context, hash, NULL);

    assert(good == 1);
    good = EVP_DigestInit_ex(stream->context, sha256(), NULL);
    assert(good == 1);
}

void hash_mac(uint8_t mac[static HASH_BYTES], const uint8_t *key, size_t key_len, const void *data,
              size_t len)
{
    assert(key_len <= INT_MAX);
    const uint8_t *made = HMAC(sha256(), key, (int)key_len, data, len, mac, NULL);

    assert(made != NULL);
}
