/* gather - a run as the aggregator sees it: (state, event) -> (state', effects).
 *
 * No socket, clock, disk or randomness inside. The caller hands in what happened and carries out
 * the effects strictly in the order given; a JOURNAL effect must be durable before the effects
 * after it are begun, and if it cannot be made durable the program stops. After a restart the
 * records are replayed (gather_replay, in order) and gather_resume() goes on with the same run:
 * a set U that was journaled is announced again unchanged, an attempt without one is abandoned
 * and tried again with the integers the sites have already charged.
 *
 * What goes to the federation's log (OPENED, SURVIVORS, CLOSED, LOST, RUN_END) may be repeated
 * after a restart: an entry that is there already is not written again.
 *
 * With masks on (suite 1..3) the vectors that come in are masked; what takes the masks out of
 * their sum is restored from shares that the sites reveal, and comes with MERGE (unmasking.h).
 * The shares are not journaled: after a restart the sites send them again.
 *
 * Within a round T and U_min are fixed and V0 only shrinks. Once CONSENTS may have left, the
 * round is finished or lost, never tried again: the next round has new noise and a new charge.
 *
 * A machine belongs to one thread. Effects stay valid until the next call with the machine.
 */
#ifndef CHOIR_ROUND_GATHER_H
#define CHOIR_ROUND_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "round/graph.h"
#include "round/incoming.h"
#include "wire/message.h"

struct gather;
struct maskset; // crypto/maskset.h

struct gather_settings {
    uint8_t roster_hash[HASH_BYTES];
    uint8_t boot[MESSAGE_NONCE_BYTES]; // fresh at each start
    struct site_set roster;
    uint32_t collusion; // c
    struct graph_terms graph;
    uint32_t resend_ms;    // unanswered broadcasts are sent again after this long
    uint32_t heartbeat_ms; // told to the sites; silent for five of these = missing
    incoming_open open;
    const void *open_context; // kept
};

/* One site of the plan. */
struct gather_site {
    uint32_t id;
    uint64_t nominal_size; // public
};

/* What the aggregator has to know of a plan. */
struct gather_run {
    uint8_t run[MESSAGE_RUN_BYTES]; // random
    uint8_t plan_hash[HASH_BYTES];
    uint8_t signature[SIGN_BYTES]; // operator
    const uint8_t *plan;           // copied
    size_t plan_len;
    uint64_t rounds;
    uint64_t n_parameters;
    uint64_t update_bytes; // size of every site's vector
    uint16_t lane_bits;
    uint16_t suite; // of the masks; 0: off
    uint32_t min_sites;
    uint32_t deadline_ms;           // per phase
    uint8_t model_hash[HASH_BYTES]; // initial model
    size_t n_sites;
    struct gather_site site[MESSAGE_SITES_MAX]; // ascending ids, all in the roster
};

enum gather_event_kind {
    GATHER_START,           // `run`: only while no run is active
    GATHER_STOP,            // `text`: a person ends the run
    GATHER_MESSAGE,         // `message`
    GATHER_UPLOAD_PROGRESS, // `site`: chunks are coming in
    GATHER_UPLOADED,        // `site`, `hash` = Merkle root: complete, checked, durable on disk
    GATHER_UPLOAD_FORGED,   // `site`, `hash` = Merkle root: whole, but not a vector to be added
    GATHER_MERGED,          // `round`, `sum_hash`, `hash` = new model, both durable
    GATHER_MERGE_FAILED,    // `round`, `text`: e.g. the constant lane is not |U|
    GATHER_TICK,            // time passed
};

struct gather_event {
    enum gather_event_kind kind;
    uint64_t now_ms;
    uint8_t fresh[MESSAGE_NONCE_BYTES]; // new random bytes with every event
    struct tree_head log;               // head of the federation's log at this moment
    const struct gather_run *run;       // borrowed for the call
    const struct incoming *message;     // borrowed for the call
    uint32_t site;
    uint64_t round;
    uint8_t hash[HASH_BYTES];
    uint8_t sum_hash[HASH_BYTES];
    const char *text; // for people; may be NULL
};

enum gather_phase {
    GATHER_IDLE,    // no run
    GATHER_WAITING, // for sites, before an attempt; `reason` says for what
    GATHER_OPEN,    // ROUND_OPEN sent, adverts come in
    GATHER_SHARE,   // ADVERTS sent, bundles come in
    GATHER_MASKED,  // SHARES_ALL sent; sites train, headers and uploads come in
    GATHER_CONSENT, // SURVIVORS sent, consents come in
    GATHER_UNMASK,  // CONSENTS sent, shares come in
    GATHER_MERGE,   // waiting for the merged sum
    GATHER_PHASES,
};

/* Fixed lower-case name ("masked"). Never NULL. */
const char *gather_phase_name(enum gather_phase phase);

enum gather_effect_kind {
    GATHER_DO_JOURNAL,       // `journal`: durable before anything after it
    GATHER_DO_SEND,          // `send`: sign once per receiver and send
    GATHER_DO_EXPECT_UPLOAD, // `upload`: take this vector on the bulk link; idempotent
    GATHER_DO_RESET_UPLOAD,  // `reset`: drop what came in from these for an attempt that is over
    GATHER_DO_PROVE,         // `prove`: durable before anything after it; with masks on only
    GATHER_DO_MERGE,         // `merge`: answer with GATHER_MERGED
    GATHER_DO_OPENED,        // `opened`: for the federation's log
    GATHER_DO_SURVIVORS,     // `survivors`: for the federation's log
    GATHER_DO_CLOSED,        // `closed`: for the federation's log; serve the new model
    GATHER_DO_LOST,          // `closed.round`: round ended without a model
    GATHER_DO_RUN_END,       // `ended`
    GATHER_DO_REPORT,        // `report`: for people
};

struct gather_effect {
    enum gather_effect_kind kind;
    union {
        struct {
            const uint8_t *record;
            size_t len;
        } journal;
        struct {
            enum message_kind kind;
            uint8_t run[MESSAGE_RUN_BYTES];
            uint64_t round;
            uint32_t attempt;
            uint8_t transcript[HASH_BYTES];
            const uint8_t *body; // NULL: each receiver has its own, see gather_body()
            size_t body_len;
            const struct site_set *to;
        } send;
        struct {
            uint32_t site;
            uint64_t round;
            uint32_t attempt;
            uint8_t root[HASH_BYTES];
            uint64_t bytes;
        } upload;
        struct {
            uint64_t round;
            uint32_t attempt;
            const struct site_set *sites;
        } reset;
        struct {
            uint64_t round;
            uint32_t attempt;
            const uint8_t *bytes; // of the proof (proof.h)
            size_t len;
        } prove;
        struct {
            uint64_t round;
            uint32_t attempt;
            const struct site_set *sites;   // U
            uint8_t (*roots)[HASH_BYTES];   // beside sites->id
            uint8_t model_hash[HASH_BYTES]; // the model the round began with
            // What takes every mask out of the sum; NULL in suite 0. Valid until the step that is
            // given GATHER_MERGED or the next GATHER_START.
            const struct maskset *unmask;
        } merge;
        struct {
            uint64_t round;
            uint32_t attempt;
            uint16_t suite;
            uint32_t threshold, minimum; // T, U_min
            uint8_t r0[HASH_BYTES];
            const struct site_set *sites; // V0
        } opened;
        struct {
            uint64_t round;
            uint32_t attempt;
            uint8_t r3[HASH_BYTES];
            const struct site_set *sites; // U
        } survivors;
        struct {
            uint64_t round;
            uint32_t attempt;
            uint8_t r3[HASH_BYTES];
            uint8_t sum_hash[HASH_BYTES];
            uint8_t model_hash[HASH_BYTES];
            uint8_t revealed_hash[HASH_BYTES]; // zeros in suite 0
            uint32_t missing_ppm;
            const struct site_set *sites; // U
        } closed;
        struct {
            enum message_code code;
            uint64_t rounds; // closed with a model
            uint8_t model_hash[HASH_BYTES];
            char text[MESSAGE_TEXT_MAX + 1];
        } ended;
        struct {
            enum message_code code;
            uint32_t site; // 0: about the run
            uint64_t round;
            uint32_t attempt;
            char text[MESSAGE_TEXT_MAX + 1];
        } report;
    };
};

enum { GATHER_EFFECTS_MAX = 24 };

struct gather_effects {
    size_t n;
    struct gather_effect item[GATHER_EFFECTS_MAX];
};

/* Where one site stands, for progress bars. */
enum gather_standing {
    GATHER_ABSENT,    // not connected, or silent
    GATHER_JOINED,    // connected; has not answered the plan yet
    GATHER_REFUSED,   // refused the plan or the round; `code`
    GATHER_SUSPENDED, // broke the protocol in this run
    GATHER_READY,     // may take part in the next attempt
    GATHER_WORKING,   // in this attempt, its answer to this phase is awaited
    GATHER_IN,        // in this attempt and has answered this phase
    GATHER_DROPPED,   // fell out of this attempt; may join the next
    GATHER_STANDINGS,
};

struct gather_site_status {
    uint32_t id;
    enum gather_standing standing;
    enum message_activity activity; // as it last said
    enum message_code code;
    uint64_t seen_ms; // when it was last heard; 0: never
    bool uploaded;    // its vector of this attempt is complete
};

struct gather_status {
    enum gather_phase phase;
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round, rounds, closed; // current, planned, closed with a model
    uint32_t attempt;
    uint16_t suite;                       // of the run; 0: masks off
    uint32_t collusion;                   // c
    uint32_t threshold, minimum;          // T and U_min of this round; 0 while waiting
    uint64_t phase_began_ms, deadline_ms; // absolute, on the clock of the events; 0: none
    uint8_t model_hash[HASH_BYTES];       // newest
    char reason[MESSAGE_TEXT_MAX + 1];    // "waits for 1 more site: need 3, have 2", or empty
    size_t n_sites;
    struct gather_site_status site[MESSAGE_SITES_MAX];
};

/* `settings` is copied. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err gather_new(const struct gather_settings *settings,
                                           struct gather **out);
void gather_free(struct gather *gather);

/* One step. Messages that break the protocol are ignored or refused with a REPORT.
 * Fails with CHOIR_ERR_MEMORY, after which the machine must be freed (and may be restored). */
CHOIR_MUST_CHECK enum choir_err gather_step(struct gather *gather, const struct gather_event *event,
                                            struct gather_effects *effects);

/* The body of a SEND effect of the last step for receiver `to`. *body is borrowed until the next
 * call with the machine, of this function too. Fails with CHOIR_ERR_MISSING if `to` is not a
 * receiver, or the attempt was over before the step was: then there is nothing to send. */
CHOIR_MUST_CHECK enum choir_err gather_body(struct gather *gather,
                                            const struct gather_effect *effect, uint32_t to,
                                            const uint8_t **body, size_t *len);

/* Feeds one journaled record to a new machine, in the order they were written.
 * Fails with CHOIR_ERR_FORMAT if it is malformed or does not follow from those before. */
CHOIR_MUST_CHECK enum choir_err gather_replay(struct gather *gather, const uint8_t *record,
                                              size_t len);

/* After the last record: goes on with the run, if there is one. Uses now_ms, fresh and log of
 * `event`; its kind is ignored. Journals and effects as in gather_step(). Fails with
 * CHOIR_ERR_MEMORY, or as gather_replay() if what was journaled of the masks does not fit. */
CHOIR_MUST_CHECK enum choir_err gather_resume(struct gather *gather,
                                              const struct gather_event *event,
                                              struct gather_effects *effects);

/* The plan of the active run (borrowed), or CHOIR_ERR_MISSING: after gather_replay() the program
 * needs it to go on. */
CHOIR_MUST_CHECK enum choir_err gather_plan(const struct gather *gather, const uint8_t **plan,
                                            size_t *len);

/* When the next GATHER_TICK is due at the latest, on the clock of the events. */
uint64_t gather_next_tick(const struct gather *gather);

void gather_status_get(const struct gather *gather, struct gather_status *out);

#endif
