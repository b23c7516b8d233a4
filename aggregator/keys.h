/* keys - the own keys of an aggregator or a relay, out of their sealed file. */
#ifndef CHOIR_AGGREGATOR_KEYS_H
#define CHOIR_AGGREGATOR_KEYS_H

#include <stdint.h>

#include "base/err.h"
#include "configs/aggregator.h"

/* Opens config->keys with the passphrase of its file; `purpose` is SECRETS_AGGREGATOR or
 * SECRETS_RELAY. On CHOIR_OK *secret is SECRETS_PEER_BYTES of locked memory, to be freed with
 * keyfile_free(). Fails with CHOIR_ERR_MISSING (no passphrase_file in the settings, or no file) or as
 * keyfile_passphrase() and keyfile_open() do; diag names the file and what to do. */
CHOIR_MUST_CHECK enum choir_err keys_open(const struct aggregator_config *config,
                                          const char *purpose, uint8_t **secret,
                                          struct choir_diag *diag);

#endif
