/* Enrolment files: the input as it is, and with a good signature put behind it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/rng.h"
#include "wire/enrolment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

// Whichever of the three records it is.
static void try_all(const uint8_t *file, size_t len)
{
    struct enrolment_nonce shown;
    struct roster_relay relay;
    struct roster_site site;

    (void)!enrolment_decode(file, len, &site);
    (void)!enrolment_decode_relay(file, len, &relay);
    (void)!enrolment_decode_nonce(file, len, &shown);
}

static void try_signed(const uint8_t *data, size_t len, size_t head_bytes)
{
    static const uint8_t seed[SIGN_SEED_BYTES] = {1};
    uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
    uint8_t file[ENROLMENT_BYTES_MAX];
    size_t key_at;

    if (len < head_bytes + 2 || len > sizeof file - SIGN_BYTES)
        return;
    sign_keypair_from_seed(public_key, secret_key, seed);
    memcpy(file, data, len);
    key_at = head_bytes + 2 + (size_t)data[head_bytes];
    if (key_at + sizeof public_key <= len)
        memcpy(file + key_at, public_key, sizeof public_key);
    sign_make(file + len, file, len, secret_key);
    try_all(file, len + SIGN_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (rng_start() != CHOIR_OK)
        return 0;
    try_all(data, len);
    try_signed(data, len, sizeof "CHOIR-PUB" + 2);
    try_signed(data, len, sizeof "CHOIR-RELAY-PUB" + 2);
    try_signed(data, len, sizeof "CHOIR-NONCE" + 2);
    return 0;
}
