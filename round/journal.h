/* journal - the records that let a restarted aggregator go on with the same run.
 *
 * The state machine writes them (GATHER_DO_JOURNAL); the program keeps the bytes in order and
 * durably, and feeds them back. It may drop everything before a RUN_START when a run has ended.
 */
#ifndef CHOIR_ROUND_JOURNAL_H
#define CHOIR_ROUND_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "round/gather.h"
#include "round/transcript.h"
#include "wire/message.h"

enum journal_kind {
    JOURNAL_RUN_START = 1, // the plan and its terms
    JOURNAL_ROUND_OPEN,    // an attempt, before it is announced
    JOURNAL_SURVIVORS,     // U, before it is announced; uploads of U are durable
    JOURNAL_REVEAL,        // before CONSENTS leave: from here on no retry
    JOURNAL_ABANDON,       // the attempt is dead
    JOURNAL_CLOSE,         // the round has a model
    JOURNAL_LOST,          // the round has none and never will
    JOURNAL_SUSPEND,       // a site broke the protocol: two signed messages as evidence
    JOURNAL_RUN_END,       //
    JOURNAL_KINDS,
};

enum { JOURNAL_RECORD_MAX = (2 << 20) + (128 << 10), JOURNAL_EVIDENCE_MAX = 256 << 10 };

struct journal_start {
    struct gather_run run; // run.plan is borrowed from the record
};

struct journal_open {
    const uint8_t *body; // ROUND_OPEN, borrowed
    size_t body_len;
    size_t n; // sites of V0
    uint8_t session[MESSAGE_SITES_MAX][MESSAGE_NONCE_BYTES];
};

struct journal_survivors {
    uint64_t round;
    uint32_t attempt;
    uint8_t r2[HASH_BYTES];
    struct said bundles;    // of V2: what R2 is made of
    const uint8_t *adverts; // ADVERTS, borrowed; empty in suite 0
    size_t adverts_len;
    const uint8_t *body; // SURVIVORS, borrowed
    size_t body_len;
};

struct journal_attempt {
    uint64_t round;
    uint32_t attempt;
    enum message_code code;
};

struct journal_reveal {
    uint64_t round;
    uint32_t attempt;
    const uint8_t *body; // CONSENTS, borrowed
    size_t body_len;
};

struct journal_close {
    uint64_t round;
    uint32_t attempt;
    const uint8_t *body; // ROUND_CLOSE, borrowed
    size_t body_len;
};

struct journal_suspend {
    uint32_t site;
    enum message_code code;
    const uint8_t *first, *second; // borrowed; empty where there is no such evidence
    size_t first_len, second_len;
};

struct journal_end {
    enum message_code code;
    uint64_t rounds;
};

struct journal_record {
    enum journal_kind kind;
    union {
        struct journal_start start;
        struct journal_open open;
        struct journal_survivors survivors;
        struct journal_reveal reveal;
        struct journal_attempt attempt; // ABANDON, LOST
        struct journal_close close;
        struct journal_suspend suspend;
        struct journal_end end;
    };
};

/* Fails with CHOIR_ERR_FORMAT if a field is out of range or the record would not fit. */
CHOIR_MUST_CHECK enum choir_err journal_encode(const struct journal_record *record, uint8_t *bytes,
                                               size_t max, size_t *len);

/* `out` borrows from `bytes`. Fails with CHOIR_ERR_FORMAT. */
CHOIR_MUST_CHECK enum choir_err journal_decode(const uint8_t *bytes, size_t len,
                                               struct journal_record *out);

#endif
