#include "wire/planseal.h"

#include "base/bytes.h"

static const char domain[] = "CHOIR-PLAN"; // signed with its zero

enum { SIGNED_BYTES = sizeof domain + ROSTER_FEDERATION_BYTES + HASH_BYTES };

static void signed_bytes(uint8_t to[static SIGNED_BYTES], const struct roster *roster,
                         const uint8_t plan_hash[static HASH_BYTES])
{
    uint8_t *at = put_bytes(to, domain, sizeof domain);

    at = put_bytes(at, roster->federation, ROSTER_FEDERATION_BYTES);
    put_bytes(at, plan_hash, HASH_BYTES);
}

void planseal_make(uint8_t signature[static SIGN_BYTES], const struct roster *roster,
                   const uint8_t plan_hash[static HASH_BYTES],
                   const uint8_t operator_secret[static SIGN_SECRET_BYTES])
{
    uint8_t message[SIGNED_BYTES];

    signed_bytes(message, roster, plan_hash);
    sign_make(signature, message, sizeof message, operator_secret);
}

enum choir_err planseal_check(const uint8_t signature[static SIGN_BYTES],
                              const struct roster *roster,
                              const uint8_t plan_hash[static HASH_BYTES])
{
    uint8_t message[SIGNED_BYTES];

    signed_bytes(message, roster, plan_hash);
    return sign_check(signature, message, sizeof message, roster->operator_key);
}
