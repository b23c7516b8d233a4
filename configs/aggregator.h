/* aggregator - the settings of the aggregator or of a relay: keys, state, the addresses it binds.
 *
 * Relative paths are relative to the folder of the file and come out joined with it.
 */
#ifndef CHOIR_CONFIGS_AGGREGATOR_H
#define CHOIR_CONFIGS_AGGREGATOR_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"

enum {
    AGGREGATOR_MAX_BYTES = 64 << 10,
    AGGREGATOR_KEEP_HOURS_MAX = 8784, // a year
    AGGREGATOR_RELAY_WAIT_S = 600,
    AGGREGATOR_RELAY_WAIT_MIN_S = 1,
    AGGREGATOR_RELAY_WAIT_MAX_S = 86400,
};

enum aggregator_log { AGGREGATOR_LOG_TEXT, AGGREGATOR_LOG_JSON };

struct aggregator_config {
    char *state_dir;
    char *roster;
    uint8_t root[HASH_BYTES]; // SHA-256 of the federation's root public key
    char *keys;
    char *passphrase_file; // NULL: the program asks, or takes a systemd credential
    char *control;         // "tcp://HOST:PORT"
    char *bulk;            // "tcp://HOST:PORT", another one
    enum aggregator_log log;
    char *relay;                // name of this relay on the roster; NULL: the aggregator itself
    uint32_t relay_wait_s;      // how long a round waits for the sum of a relay
    uint32_t keep_masked_hours; // masked vectors of closed rounds; 0: of the newest round only
};

/* On CHOIR_OK *out is the caller's, to be freed with aggregator_config_free(). Fails with
 * CHOIR_ERR_FORMAT, CHOIR_ERR_MISSING, CHOIR_ERR_IO or CHOIR_ERR_MEMORY; diag says where. */
CHOIR_MUST_CHECK enum choir_err aggregator_config_read(const char *path,
                                                       struct aggregator_config **out,
                                                       struct choir_diag *diag);

/* NULL is allowed. */
void aggregator_config_free(struct aggregator_config *aggregator);

/* The JSON Schema of aggregator settings; *text is the caller's (free). */
CHOIR_MUST_CHECK enum choir_err aggregator_schema_json(char **text);

#endif
