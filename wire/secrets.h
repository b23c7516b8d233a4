/* secrets - what the sealed key files of a federation hold (crypto/keyfile.h). */
#ifndef CHOIR_WIRE_SECRETS_H
#define CHOIR_WIRE_SECRETS_H

#include "crypto/curve.h"
#include "crypto/sign.h"

/* Purposes, and the bundles: one signing key, or a signing key followed by a CURVE key. */
#define SECRETS_ROOT       "choir federation root"
#define SECRETS_OPERATOR   "choir operator"
#define SECRETS_AGGREGATOR "choir aggregator"
#define SECRETS_RELAY      "choir relay"

enum {
    SECRETS_SIGNER_BYTES = SIGN_SECRET_BYTES,                // root, operator
    SECRETS_PEER_BYTES = SIGN_SECRET_BYTES + CURVE_KEY_BYTES // aggregator, relay
};

#endif
