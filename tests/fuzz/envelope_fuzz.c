/* Envelopes: the input as it is, and with the signature of a known site put behind it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/rng.h"
#include "wire/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char context[] = "CHOIR-MSG";
    static uint8_t message[sizeof context + 8192];
    static const uint8_t seed[SIGN_SEED_BYTES] = {1};
    uint8_t secret_key[SIGN_SECRET_BYTES];
    struct roster_site site = {.id = 1, .name = "north"};
    const struct roster roster = {.epoch = 1, .n_sites = 1, .sites = &site};
    struct envelope envelope;
    const uint8_t *body = NULL;
    size_t body_len = 0;
    uint8_t *at = put_bytes(message, context, sizeof context);

    if (rng_start() != CHOIR_OK)
        return 0;
    sign_keypair_from_seed(site.sign_key, secret_key, seed);
    (void)!envelope_open(data, len, &roster, &envelope, &body, &body_len);
    if (len > 8192 - SIGN_BYTES)
        return 0;
    at = put_bytes(at, data, len);
    sign_make(at, message, sizeof context + len, secret_key);
    if (envelope_open(message + sizeof context, len + SIGN_BYTES, &roster, &envelope, &body,
                      &body_len) == CHOIR_OK &&
        body_len + ENVELOPE_HEAD_BYTES != len)
        __builtin_trap();
    return 0;
}
