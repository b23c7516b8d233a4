/* planseal - the operator's signature on a plan, bound to the federation.
 *
 * Ed25519 over "CHOIR-PLAN\0" || federation id || SHA-256 of the plan's bytes.
 */
#ifndef CHOIR_WIRE_PLANSEAL_H
#define CHOIR_WIRE_PLANSEAL_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "wire/roster.h"

void planseal_make(uint8_t signature[static SIGN_BYTES], const struct roster *roster,
                   const uint8_t plan_hash[static HASH_BYTES],
                   const uint8_t operator_secret[static SIGN_SECRET_BYTES]);

/* Fails with CHOIR_ERR_FORGED unless the operator of the roster signed this plan for it. */
CHOIR_MUST_CHECK enum choir_err planseal_check(const uint8_t signature[static SIGN_BYTES],
                                               const struct roster *roster,
                                               const uint8_t plan_hash[static HASH_BYTES]);

#endif
