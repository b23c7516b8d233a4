/* Enrolment files: the input as it is, and with a good signature put behind it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/rng.h"
#include "wire/enrolment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD_BYTES = 10 + 2 }; // magic and version, then the name

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t seed[SIGN_SEED_BYTES] = {1};
    uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
    uint8_t file[ENROLMENT_BYTES_MAX];
    struct roster_site site;
    size_t key_at;

    if (rng_start() != CHOIR_OK)
        return 0;
    (void)!enrolment_decode(data, len, &site);
    if (len < HEAD_BYTES + 2 || len > sizeof file - SIGN_BYTES)
        return 0;
    sign_keypair_from_seed(public_key, secret_key, seed);
    memcpy(file, data, len);
    key_at = HEAD_BYTES + 2 + (size_t)data[HEAD_BYTES];
    if (key_at + sizeof public_key <= len)
        memcpy(file + key_at, public_key, sizeof public_key);
    sign_make(file + len, file, len, secret_key);
    (void)!enrolment_decode(file, len + SIGN_BYTES, &site);
    return 0;
}
