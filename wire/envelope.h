/* envelope - the signed frame around every control message.
 *
 * Little-endian record, then the body, then an Ed25519 signature over
 * "CHOIR-MSG\0" || record || body by the key that the roster lists for `sender`. It is
 * verified over the bytes as received, never over bytes written again.
 */
#ifndef CHOIR_WIRE_ENVELOPE_H
#define CHOIR_WIRE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "wire/message.h"
#include "wire/roster.h"

enum {
    ENVELOPE_RUN_BYTES = 16,
    ENVELOPE_HEAD_BYTES = 4 + 2 + 2 + 16 + 8 + 4 + 4 + 8 + 32 + 8 + 4,
    ENVELOPE_BYTES_MAX = ENVELOPE_HEAD_BYTES + MESSAGE_BODY_MAX + SIGN_BYTES,
};

struct envelope {
    uint16_t kind; // enum message_kind
    uint8_t run[ENVELOPE_RUN_BYTES];
    uint64_t round_no;
    uint32_t attempt;
    uint32_t sender;                // site id, or ROSTER_AGGREGATOR
    uint64_t sequence;              // grows with every message of this sender
    uint8_t transcript[HASH_BYTES]; // the R that the message answers; zeros where there is none
    uint64_t roster_epoch;
};

/* The signed bytes. On CHOIR_OK *bytes is the caller's (free). Fails with CHOIR_ERR_FORMAT if
 * the kind is unknown or the body longer than its bound, or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err envelope_seal(const struct envelope *envelope, const uint8_t *body,
                                              size_t body_len,
                                              const uint8_t secret_key[static SIGN_SECRET_BYTES],
                                              uint8_t **bytes, size_t *len);

/* Reads and verifies; the body of each kind has the bound of message_body_max(). The body is a view into `bytes`. Fails with CHOIR_ERR_FORMAT (not such a
 * message, or longer than its kind allows), CHOIR_ERR_MISSING (the sender is not on the
 * roster), CHOIR_ERR_REFUSED (another roster epoch) or CHOIR_ERR_FORGED (signature). */
CHOIR_MUST_CHECK enum choir_err envelope_open(const uint8_t *bytes, size_t len,
                                              const struct roster *roster,
                                              struct envelope *envelope, const uint8_t **body,
                                              size_t *body_len);

/* The same without looking at roster or signature: for what is bound by a hash to something that was
 * verified, never for what is acted upon. Fails with CHOIR_ERR_FORMAT. */
CHOIR_MUST_CHECK enum choir_err envelope_peek(const uint8_t *bytes, size_t len,
                                              struct envelope *envelope, const uint8_t **body,
                                              size_t *body_len);

#endif
