/* operator - a conversation with the running aggregator over its local socket. */
#ifndef CHOIR_CLI_OPERATOR_H
#define CHOIR_CLI_OPERATOR_H

#include <limits.h>
#include <stdint.h>

#include "base/err.h"
#include "configs/aggregator.h"
#include "ops/control.h"
#include "ops/progress.h"

/* Reads the settings and connects; *config is the caller's (aggregator_config_free). */
CHOIR_MUST_CHECK enum choir_err operator_connect(const char *config_path,
                                                 struct aggregator_config **config, int *fd,
                                                 struct choir_diag *diag);

/* Sends one request and reads its answer; *payload is the caller's (free). Fails with
 * CHOIR_ERR_PEER when the aggregator left. */
CHOIR_MUST_CHECK enum choir_err operator_ask(int fd, enum control_kind request, const void *bytes,
                                             size_t len, enum control_kind *kind, uint8_t **payload,
                                             size_t *payload_len);

/* Receives one progress frame. */
CHOIR_MUST_CHECK enum choir_err operator_progress(int fd, struct progress *progress);

#endif
