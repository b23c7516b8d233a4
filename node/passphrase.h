/* passphrase - where the node gets the words that unseal its keys. */
#ifndef CHOIR_NODE_PASSPHRASE_H
#define CHOIR_NODE_PASSPHRASE_H

#include <stdbool.h>

#include "base/err.h"
#include "configs/site.h"

/* From the file that the settings name; else from the systemd credential "choir-passphrase"; else
 * asked on the terminal, twice if `fresh`. On CHOIR_OK *out is to be freed with keyfile_free(). */
CHOIR_MUST_CHECK enum choir_err passphrase_get(const struct site_config *config, bool fresh,
                                               char **out, struct choir_diag *diag);

#endif
