/* site - a round as one site sees it: (state, event) -> (state', effects).
 *
 * No socket, clock, disk or randomness inside. The caller (the courier) hands in what happened
 * and carries out the effects in the order given; a STORE effect is answered by an event when
 * the storage is durable, and what depends on it comes only after that event.
 *
 * The machine trusts the aggregator with nothing but liveness. It refuses an attempt that is not
 * above its stored mark, a transcript that does not match, a quorum that is too small, survivors
 * without itself, a second R3 for an R2, and a round in which it has already revealed shares.
 *
 * A machine belongs to one thread. Effects stay valid until the next call with the machine.
 */
#ifndef CHOIR_ROUND_SITE_H
#define CHOIR_ROUND_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/maskset.h"
#include "round/graph.h"
#include "round/incoming.h"
#include "wire/message.h"

struct site;

enum { MARK_ASKED_BYTES = 126 }; // a bit for every id that a roster can give to a site

/* The last attempt this site took part in, kept on disk per run. */
struct mark {
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round; // 0: none yet
    uint32_t attempt;
    uint32_t threshold; // T and U_min of `round`, fixed within it
    uint32_t minimum;
    uint8_t r0[HASH_BYTES];
    uint8_t model_hash[HASH_BYTES];  // fixed within `round`, as its update is trained on one model
    uint8_t asked[MARK_ASKED_BYTES]; // V0, bit id % 8 of byte id / 8: a later attempt asks no other
    bool revealed; // an UNMASK of this round may have left: no later attempt of it
};

struct site_settings {
    uint32_t id;
    uint8_t roster_hash[HASH_BYTES];
    uint8_t session[MESSAGE_NONCE_BYTES]; // the one that JOIN carries; fresh at each start
    struct site_set roster;
    uint32_t collusion;       // c
    struct graph_terms graph; // what the roster says about who shares with whom
    uint32_t suites;          // bit k: mask suite k is known; suite 0 always is
    uint32_t minimum_cohort;  // the site's policy
    uint32_t resend_ms;       // an unanswered message is sent again after this long
    uint32_t heartbeat_ms;
    incoming_open open;
    incoming_open peek;       // the same without the signature; NULL: `open` does all
    const void *open_context; // kept, for both
};

/* What the vault said about an offered plan. */
struct site_plan {
    uint8_t run[MESSAGE_RUN_BYTES];
    uint8_t plan_hash[HASH_BYTES];
    bool accepted;
    enum message_code code; // NONE exactly if accepted
    char text[MESSAGE_TEXT_MAX + 1];
    uint64_t rounds;
    uint64_t n_parameters;
    uint16_t lane_bits;
    uint16_t suite;     // of the masks; 0: secure aggregation is off
    uint32_t min_sites; // the plan's quorum
    struct mark mark;   // the stored mark of this run; round 0 if none
};

/* The charged update of a round, in the outbox by its digest. */
struct site_update {
    uint8_t digest[HASH_BYTES]; // SHA-256 of the bytes: the name in the outbox
    uint8_t root[HASH_BYTES];   // Merkle root over the chunks
    uint64_t bytes;
};

enum site_event_kind {
    SITE_LINK_UP,         // connected, or connected again
    SITE_LINK_DOWN,       //
    SITE_MESSAGE,         // `message`
    SITE_PLAN_CHECKED,    // `plan`; again whenever the verdict changes
    SITE_MARK_STORED,     // `round`, `attempt`
    SITE_MARK_REFUSED,    // `code`, `text`: mostly as the store already holds a later mark
    SITE_MODEL_READY,     // `hash`: fetched, hash checked
    SITE_MODEL_FAILED,    // `hash`: cannot be had now, or is gone when TRAIN needs it
    SITE_UPDATE_READY,    // `round`, `update`: charged and durable
    SITE_UPDATE_REFUSED,  // `round`, `code`, `text`
    SITE_MASKED,          // `round`, `attempt`, `update`: root and bytes of the masked vector
    SITE_MASK_FAILED,     // `round`, `attempt`, `text`: the site leaves the attempt
    SITE_UPLOADED,        // `hash`: Merkle root that the aggregator acknowledged
    SITE_CONSENT_STORED,  // `hash`: R2
    SITE_CONSENT_REFUSED, // `hash`: R2; another R3 is stored for it, or the store failed
    SITE_TICK,            // time passed
};

/* Fields not named beside the kind are ignored; answers about a past attempt are too. */
struct site_event {
    enum site_event_kind kind;
    enum message_code code;
    uint64_t now_ms;
    uint8_t fresh[MESSAGE_NONCE_BYTES]; // random bytes, new with every event; wiped by the caller
    const struct incoming *message;     // borrowed for the call
    const struct site_plan *plan;       // borrowed for the call
    uint64_t round;
    uint32_t attempt;
    struct site_update update;
    uint8_t hash[HASH_BYTES];
    const char *text; // for people; may be NULL
};

enum site_effect_kind {
    SITE_DO_JOIN,          // send JOIN with this session and the ledger's head
    SITE_DO_SEND,          // `send`: sign and send to the aggregator
    SITE_DO_CHECK_PLAN,    // `plan`: answer with SITE_PLAN_CHECKED
    SITE_DO_STORE_MARK,    // `mark`: durable, then SITE_MARK_STORED; see below
    SITE_DO_FETCH_MODEL,   // `hash`
    SITE_DO_TRAIN,         // `train`: or hand out the update already charged for this round
    SITE_DO_MASK,          // `mask`: put the masks on, then SITE_MASKED; not in suite 0
    SITE_DO_UPLOAD,        // `upload`: start or resume on the bulk link; idempotent
    SITE_DO_STOP_UPLOAD,   // the attempt is over: nothing is masked or sent any more
    SITE_DO_STORE_CONSENT, // `consent`: durable, then SITE_CONSENT_STORED
    SITE_DO_ERASE,         // `erase`: updates of rounds of this run up to `round` may be erased
    SITE_DO_CLOSED,        // `closed`: the round ended with a model
    SITE_DO_RUN_END,       // `ended`
    SITE_DO_REPORT,        // `report`: for the site's people
};

struct site_effect {
    enum site_effect_kind kind;
    union {
        struct {
            enum message_kind kind;
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
            uint32_t attempt;
            uint8_t transcript[HASH_BYTES];
            const uint8_t *body;
            size_t body_len;
        } send;
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            uint8_t plan_hash[HASH_BYTES];
            uint8_t signature[SIGN_BYTES];
            const uint8_t *bytes;
            size_t len;
        } plan;
        struct mark mark;
        uint8_t hash[HASH_BYTES];
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
            uint8_t plan_hash[HASH_BYTES];
            uint8_t model_hash[HASH_BYTES];
        } train;
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
            uint32_t attempt;
            struct site_update update; // the charged one, without masks
            uint64_t n_parameters;
            uint16_t lane_bits, suite;
            const struct maskset *masks; // see below
        } mask;
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
            uint32_t attempt;
            struct site_update update; // what leaves: root and bytes are those of the masked one
        } upload;
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
            uint8_t r2[HASH_BYTES], r3[HASH_BYTES];
        } consent;
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
        } erase;
        struct {
            uint64_t round;
            uint8_t model_hash[HASH_BYTES];
            size_t n_participants;
            uint32_t missing_ppm;
            bool took_part;
        } closed;
        struct {
            uint8_t run[MESSAGE_RUN_BYTES];
            enum message_code code;
            uint64_t rounds;
            uint8_t model_hash[HASH_BYTES];
            char text[MESSAGE_TEXT_MAX + 1];
        } ended;
        struct {
            enum message_code code;
            uint64_t round;
            uint32_t attempt;
            char text[MESSAGE_TEXT_MAX + 1];
        } report;
    };
};

/* The masks of SITE_DO_MASK stay valid, beyond the next call, until the step after SITE_MASKED was
 * told, or until SITE_DO_STOP_UPLOAD is carried out. The masked vector has the segments of the
 * charged one (privacy/quantize.h): segment s is masked as segment s.
 *
 * SITE_DO_UPLOAD is given in suite 0 with the charged update, else with the root and bytes that
 * SITE_MASKED told and the digest of the charged one.
 *
 * A mark is stored if (round, attempt) is above the one stored for its run, or if it is the same
 * and only `revealed` becomes true; anything else is SITE_MARK_REFUSED. */
enum { SITE_EFFECTS_MAX = 12, SITE_ERASE_AFTER = 2 }; // rounds an update is kept after its own

struct site_effects {
    size_t n;
    struct site_effect item[SITE_EFFECTS_MAX];
};

/* What the site is doing, for its own status page. */
struct site_status {
    bool linked, in_run;
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round, rounds; // current and planned
    uint32_t attempt;
    enum message_activity activity;
};

/* `settings` is copied. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err site_new(const struct site_settings *settings, struct site **out);
void site_free(struct site *site);

/* One step. A message that breaks the protocol is not an error of the machine: it is ignored or
 * refused with a REPORT. Fails with CHOIR_ERR_MEMORY, after which the machine must be freed. */
CHOIR_MUST_CHECK enum choir_err site_step(struct site *site, const struct site_event *event,
                                          struct site_effects *effects);

void site_status_get(const struct site *site, struct site_status *out);

#endif
