/* incoming - a message as the state machines see it: signature and epoch already checked.
 *
 * Messages that are forwarded inside others (adverts, headers, consents) are opened by the
 * state machines themselves, through a function that the caller hands in, so that round/ needs
 * no keys and a simulator no signatures.
 */
#ifndef CHOIR_ROUND_INCOMING_H
#define CHOIR_ROUND_INCOMING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/message.h"

struct incoming {
    uint16_t kind;
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round;
    uint32_t attempt;
    uint32_t sender; // 0: the aggregator
    uint8_t transcript[HASH_BYTES];
    const uint8_t *body; // borrowed
    size_t body_len;
    const uint8_t *signed_bytes; // the whole envelope as received, borrowed
    size_t signed_len;
};

/* Parses the envelope bytes[0..len), checks its signature with the key that the roster gives to
 * its sender, and fills `out` (borrowing from `bytes`). Must be a pure function of its input.
 * Fails with CHOIR_ERR_FORMAT or CHOIR_ERR_FORGED. */
typedef enum choir_err (*incoming_open)(const void *context, const uint8_t *bytes, size_t len,
                                        struct incoming *out);

/* An incoming_open whose context is the roster (struct roster): what programs use. Also fails as
 * envelope_open() does otherwise: CHOIR_ERR_MISSING, CHOIR_ERR_REFUSED. */
CHOIR_MUST_CHECK enum choir_err incoming_open_signed(const void *roster, const uint8_t *bytes,
                                                     size_t len, struct incoming *out);

/* The same without roster and signature; context is not used (site_settings.peek, site.h). */
CHOIR_MUST_CHECK enum choir_err incoming_peek(const void *context, const uint8_t *bytes, size_t len,
                                              struct incoming *out);

#endif
