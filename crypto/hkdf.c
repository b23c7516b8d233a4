#include "crypto/hkdf.h"

#include <assert.h>
#include <string.h>
#include <threads.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypto/rng.h"

// HMAC without a key, one for each hash: copied for each use, because looking it up by name would
// cost as much as a short message does. NULL where the library lacks the hash.
static EVP_MAC_CTX *keyless[2];

static EVP_MAC_CTX *hmac_over(EVP_MAC *hmac, const char *digest)
{
    char name[16];
    OSSL_PARAM params[2] = {OSSL_PARAM_END, OSSL_PARAM_END};
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);

    (void)strncpy(name, digest, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
    if (context != NULL && EVP_MAC_CTX_set_params(context, params) != 1) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

static void look_up(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    if (hmac == NULL)
        return;
    keyless[HKDF_SHA256] = hmac_over(hmac, "SHA256");
    keyless[HKDF_SM3] = hmac_over(hmac, "SM3");
    EVP_MAC_free(hmac);
}

bool hkdf_offers(enum hkdf_hash hash)
{
    static once_flag looked_up = ONCE_FLAG_INIT;

    call_once(&looked_up, look_up);
    return keyless[hash] != NULL;
}

struct piece {
    const void *at;
    size_t len;
};

static void authenticate(enum hkdf_hash hash, uint8_t mac[static HKDF_PRK_BYTES], struct piece key,
                         const struct piece *pieces, size_t n)
{
    bool good = hkdf_offers(hash);
    EVP_MAC_CTX *context = good ? EVP_MAC_CTX_dup(keyless[hash]) : NULL;
    size_t len = 0;

    good = context != NULL && EVP_MAC_init(context, key.at, key.len, NULL) == 1;
    for (size_t i = 0; i < n; i++)
        good = good && EVP_MAC_update(context, pieces[i].at, pieces[i].len) == 1;
    good = good && EVP_MAC_final(context, mac, &len, HKDF_PRK_BYTES) == 1;
    assert(good && len == HKDF_PRK_BYTES);
    EVP_MAC_CTX_free(context); // wipes
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
