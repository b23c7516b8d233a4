/* enrolment - what a site or a relay hands to the coordinator to be put on the roster: NAME.pub;
 * and what a site hands in later, to make the seed of the graphs: NAME.nonce.
 *
 * Name, public keys and, of a site, the commitment to its nonce, signed with the own signing key: the signature shows
 * that whoever made the file holds that key, not who they are. People compare
 * enrolment_fingerprint() by telephone for that.
 */
#ifndef CHOIR_WIRE_ENROLMENT_H
#define CHOIR_WIRE_ENROLMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/roster.h"

enum { ENROLMENT_BYTES_MAX = 640 };

/* Signs name, keys and commitment of `site` (its id and relay are ignored) into to[0..*len).
 * Fails with CHOIR_ERR_FORMAT if the name is not valid. */
CHOIR_MUST_CHECK enum choir_err enrolment_sign(uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len,
                                               const struct roster_site *site,
                                               const uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* Reads and verifies; id and relay are 0. Fails with CHOIR_ERR_FORMAT or CHOIR_ERR_FORGED. */
CHOIR_MUST_CHECK enum choir_err enrolment_decode(const uint8_t *bytes, size_t len,
                                                 struct roster_site *site);

/* The same for a relay: name, keys and the two addresses its sites connect to. */
CHOIR_MUST_CHECK enum choir_err enrolment_sign_relay(
    uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len, const struct roster_relay *relay,
    const uint8_t secret_key[static SIGN_SECRET_BYTES]);
CHOIR_MUST_CHECK enum choir_err enrolment_decode_relay(const uint8_t *bytes, size_t len,
                                                       struct roster_relay *relay);

/* A nonce shown for one list of commitments. */
struct enrolment_nonce {
    char name[ROSTER_NAME_MAX];
    uint8_t sign_key[SIGN_PUBLIC_BYTES];
    uint8_t list[HASH_BYTES]; // roster_commitments()
    uint8_t nonce[ROSTER_NONCE_BYTES];
};

CHOIR_MUST_CHECK enum choir_err enrolment_sign_nonce(
    uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len, const struct enrolment_nonce *shown,
    const uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* The signature is by the key in the record: whether that is the site's, the roster tells. */
CHOIR_MUST_CHECK enum choir_err enrolment_decode_nonce(const uint8_t *bytes, size_t len,
                                                       struct enrolment_nonce *shown);

/* Hex SHA-256 of the file's bytes, to be read over the telephone. */
void enrolment_fingerprint(char text[static ROSTER_FINGERPRINT_MAX], const uint8_t *bytes,
                           size_t len);

#endif
