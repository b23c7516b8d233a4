/* Rosters: the input as a file, and again as a record that is put behind a root key and signed
 * with it, so that the fields behind the signature are reached. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/rng.h"
#include "wire/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_file(const uint8_t *bytes, size_t len)
{
    struct roster roster = {0};

    if (roster_decode(bytes, len, NULL, &roster) != CHOIR_OK)
        return;
    for (size_t i = 0; i < roster.n_sites; i++)
        if (roster_by_id(&roster, roster.sites[i].id) != &roster.sites[i])
            __builtin_trap();
    roster_release(&roster);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char context[] = "CHOIR-ROSTER";
    static uint8_t message[sizeof context + ROSTER_BYTES_MAX];
    static const uint8_t seed[SIGN_SEED_BYTES] = {1};
    uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
    uint8_t *at = put_bytes(message, context, sizeof context);

    if (rng_start() != CHOIR_OK)
        return 0;
    try_file(data, len);
    if (len > 4096)
        return 0;
    sign_keypair_from_seed(public_key, secret_key, seed);
    at = put_bytes(at, "CHOIRROS", 8);
    at = put_u16(at, 2);
    at = put_bytes(at, public_key, sizeof public_key);
    at = put_bytes(at, data, len);
    sign_make(at, message, (size_t)(at - message), secret_key);
    try_file(message + sizeof context, (size_t)(at - message) - sizeof context + SIGN_BYTES);
    return 0;
}
