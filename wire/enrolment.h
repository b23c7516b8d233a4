/* enrolment - what a site hands to the coordinator to be put on the roster: NAME.pub.
 *
 * Name and three public keys, signed with the site's own signing key: the signature shows
 * that whoever made the file holds that key, not who they are. People compare
 * enrolment_fingerprint() by telephone for that.
 */
#ifndef CHOIR_WIRE_ENROLMENT_H
#define CHOIR_WIRE_ENROLMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/roster.h"

enum { ENROLMENT_BYTES_MAX = 512 };

/* Signs name and keys of `site` (its id is ignored) into to[0..*len).
 * Fails with CHOIR_ERR_FORMAT if the name is not valid. */
CHOIR_MUST_CHECK enum choir_err enrolment_sign(uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len,
                                               const struct roster_site *site,
                                               const uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* Reads and verifies; site->id is 0. Fails with CHOIR_ERR_FORMAT or CHOIR_ERR_FORGED. */
CHOIR_MUST_CHECK enum choir_err enrolment_decode(const uint8_t *bytes, size_t len,
                                                 struct roster_site *site);

/* Hex SHA-256 of the file's bytes, to be read over the telephone. */
void enrolment_fingerprint(char text[static ROSTER_FINGERPRINT_MAX], const uint8_t *bytes,
                           size_t len);

#endif
