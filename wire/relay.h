/* relay - what a relay and the aggregator say to each other, and the frame around letters of others.
 *
 * A relay stands between the aggregator and some of its sites. Letters of sites and aggregator
 * pass it unchanged, signed end to end: upwards as they are, downwards in a frame that names the
 * receivers. Beside them there are three letters of its own, each signed: HAVE tells which masked
 * vectors a relay holds, SUM asks it to add some of them up, ANSWER names the sum by its Merkle
 * root. PROTOCOL.md gives each byte for byte.
 */
#ifndef CHOIR_WIRE_RELAY_H
#define CHOIR_WIRE_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "wire/bulk.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include "wire/roster.h"

enum relay_kind {
    RELAY_HAVE = 1, // relay: all that it holds of this attempt; says it again and again
    RELAY_SUM,      // aggregator: add up exactly these; ascending sites
    RELAY_ANSWER,   // relay: the sum that was asked for, or why there is none
    RELAY_KINDS,    // one past the last
};

enum relay_code {
    RELAY_SUMMED = 0, // the sum is here: fetch it by its root
    RELAY_LACKS,      // the vector of `site` is not here (any more)
    RELAY_FAILED,     // the disk failed
    RELAY_CODES,      // one past the last
};

enum {
    RELAY_VECTOR_BYTES = 4 + 1 + HASH_BYTES,
    RELAY_HEAD_BYTES = 4 + 2 + 2 + 4 + 8 + MESSAGE_RUN_BYTES + 8 + 4,
    RELAY_LETTER_MAX =
        RELAY_HEAD_BYTES + 2 + 8 + 2 + MESSAGE_SITES_MAX * RELAY_VECTOR_BYTES + SIGN_BYTES,
    RELAY_FRAME_HEAD_MAX = 4 + 2 + 2 + 4 * MESSAGE_SITES_MAX,
    RELAY_FRAME_MAX = RELAY_FRAME_HEAD_MAX + ENVELOPE_BYTES_MAX,
};

struct relay_vector {
    uint32_t site;
    bool whole; // HAVE: complete, checked, durable; else chunks of it came in since the last HAVE
    uint8_t root[HASH_BYTES];
};

/* About 37 KiB: not for the stack of a small thread. */
struct relay_letter {
    enum relay_kind kind;
    uint32_t relay;        // who says it, or is asked
    uint64_t roster_epoch; //
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round;   // >= 1
    uint32_t attempt; // >= 1
    // HAVE, SUM
    size_t n;
    struct relay_vector vector[MESSAGE_SITES_MAX]; // ascending by site
    // SUM, ANSWER
    uint64_t bytes; // of one vector, as of their sum
    // SUM
    uint16_t lane_bits; // 16 or 32
    // ANSWER
    uint8_t question[HASH_BYTES]; // relay_question() of the SUM
    enum relay_code code;
    uint32_t site;            // LACKS: whose; else 0
    uint8_t root[HASH_BYTES]; // SUMMED: of the sum; else zeros
};

/* True if `bytes` begin like a letter of this file, not like an envelope or a frame. */
bool relay_is_letter(const uint8_t *bytes, size_t len);

/* Writes and signs into to[0..*len). Fails with CHOIR_ERR_FORMAT if a field is out of range. */
CHOIR_MUST_CHECK enum choir_err relay_seal(const struct relay_letter *letter,
                                           const uint8_t secret_key[static SIGN_SECRET_BYTES],
                                           uint8_t to[static RELAY_LETTER_MAX], size_t *len);

/* Reads and verifies: SUM by the key of the aggregator, the others by that of letter->relay.
 * Fails with CHOIR_ERR_FORMAT, CHOIR_ERR_MISSING (no such relay on the roster),
 * CHOIR_ERR_FORGED (signature) or CHOIR_ERR_REFUSED (another roster epoch). */
CHOIR_MUST_CHECK enum choir_err relay_open(const uint8_t *bytes, size_t len,
                                           const struct roster *roster, struct relay_letter *out);

/* The hash that an ANSWER repeats: over everything that a SUM says, without its signature. */
void relay_question(const struct relay_letter *sum, uint8_t hash[static HASH_BYTES]);

/* Writes the frame of the envelope bytes[0..len) for the sites `to` into frame[0..*frame_len),
 * which has room for RELAY_FRAME_HEAD_MAX + len. */
void relay_frame_make(const struct site_set *to, const uint8_t *bytes, size_t len, uint8_t *frame,
                      size_t *frame_len);

/* Reads a frame; *bytes points into it. What is inside is not looked at. Fails with
 * CHOIR_ERR_FORMAT. */
CHOIR_MUST_CHECK enum choir_err relay_frame_open(const uint8_t *frame, size_t frame_len,
                                                 struct site_set *to, const uint8_t **bytes,
                                                 size_t *len);

#endif
