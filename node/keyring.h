/* keyring - a site's two secret keys: the one that signs and the one that connects. */
#ifndef CHOIR_NODE_KEYRING_H
#define CHOIR_NODE_KEYRING_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/curve.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"

/* In locked memory, wiped when freed. */
struct keyring {
    uint8_t sign_secret[SIGN_SECRET_BYTES];
    uint8_t curve_secret[CURVE_KEY_BYTES];
    uint8_t sign_public[SIGN_PUBLIC_BYTES];
    uint8_t curve_public[CURVE_KEY_BYTES];
};

/* Fresh keys, sealed into a new file; an existing one is CHOIR_ERR_REFUSED and stays as it is.
 * On CHOIR_OK *out is to be freed. diag says what is wrong. */
CHOIR_MUST_CHECK enum choir_err keyring_make(const char *path, const char *passphrase,
                                             enum keyfile_cost cost, struct keyring **out,
                                             struct choir_diag *diag);

/* Opens the file. Fails as keyfile_open(); diag says what is wrong. */
CHOIR_MUST_CHECK enum choir_err keyring_open(const char *path, const char *passphrase,
                                             struct keyring **out, struct choir_diag *diag);
void keyring_free(struct keyring *keys);

#endif
