/* nonce - the site's part of the seed from which the graphs of large rounds are drawn.
 *
 * Drawn when the keys are made; NAME.pub carries the commitment to it. It is secret until the
 * roster lists the commitments of all sites. The site then shows it for that list and for no
 * other: who knew nonces could choose sites so that the seed suits them. What it was shown for is
 * durable before it is shown. Kept in state_dir/nonce, mode 0600.
 */
#ifndef CHOIR_NODE_NONCE_H
#define CHOIR_NODE_NONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/roster.h"

struct nonce {
    uint8_t bytes[ROSTER_NONCE_BYTES];
    bool shown;
    uint8_t list[HASH_BYTES]; // roster_commitments() of the roster it was shown for
};

/* Draws a fresh one and keeps it durably in place of what was there. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err nonce_draw(const char *state_dir, struct nonce *out);

/* What is kept. Fails with CHOIR_ERR_MISSING, CHOIR_ERR_FORMAT (damaged) or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err nonce_read(const char *state_dir, struct nonce *out);

/* Makes durable that the nonce is shown for the list of `roster`. Fails with CHOIR_ERR_REFUSED if
 * a site of the roster, or `self`, has another commitment or none, or if the nonce was shown for
 * another list; CHOIR_ERR_MISSING if there is no nonce, CHOIR_ERR_IO. diag says what to do. */
CHOIR_MUST_CHECK enum choir_err nonce_show(const char *state_dir, const struct roster *roster,
                                           const struct roster_site *self, struct nonce *out,
                                           struct choir_diag *diag);

/* Whether the site may go by the seed of `roster`: there is none, or it is made of the list that
 * this site showed its nonce for. Fails with CHOIR_ERR_REFUSED; diag says what to do. */
CHOIR_MUST_CHECK enum choir_err nonce_check(const char *state_dir, const struct roster *roster,
                                            struct choir_diag *diag);

#endif
