/* federation - the coordinator's folder: keys, roster and the aggregator's settings.
 *
 * root.key and operator.key are sealed with the coordinator's passphrase and are needed only
 * to change the roster and to launch; aggregator.key is what the daemon runs with.
 */
#ifndef CHOIR_CLI_FEDERATION_H
#define CHOIR_CLI_FEDERATION_H

#include <limits.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/roster.h"

/* The passphrase from `file`, or, if NULL, from DIR/passphrase; the caller's (keyfile_free). */
CHOIR_MUST_CHECK enum choir_err federation_passphrase(const char *dir, const char *file,
                                                      char **passphrase, struct choir_diag *diag);

/* Opens DIR/name, a key file of `purpose` holding `len` bytes; the caller's (keyfile_free). */
CHOIR_MUST_CHECK enum choir_err federation_key(const char *dir, const char *name,
                                               const char *purpose, const char *passphrase,
                                               size_t len, uint8_t **secret,
                                               struct choir_diag *diag);

/* Signs `roster` with the root key and replaces DIR/roster.bin. */
CHOIR_MUST_CHECK enum choir_err federation_store_roster(const char *dir, struct roster *roster,
                                                        const uint8_t *root_secret,
                                                        struct choir_diag *diag);

#endif
