/* gather_state - what the files of the aggregator's machine share. Private to round/.
 *
 * gather.c: one step, effects. gather_peers.c: joining, plans, refusals. gather_attempt.c: what the
 * sites say in an attempt. gather_steps.c: from phase to phase. gather_masks.c: what masks add to
 * them. gather_open.c: the beginning and the end of a round. gather_restore.c: the journal.
 */
#ifndef CHOIR_ROUND_GATHER_STATE_H
#define CHOIR_ROUND_GATHER_STATE_H

#include "round/gather.h"
#include "round/journal.h"
#include "round/transcript.h"
#include "round/unmasking.h"

enum {
    GATHER_SILENT_BEATS = 5, // heartbeats without a word: missing
    GATHER_EXTEND_MAX = 20,  // deadlines a phase may be extended by, while somebody works
    GATHER_PATIENCE = 4,     // deadlines to wait for consents and shares
    GATHER_DEAD_SESSIONS = 4,
    GATHER_TELL_END = 5, // times a session is told that the run is over
    GATHER_SMALL_BYTES = 512,
    GATHER_SMALL_MAX = 8,
    GATHER_RECORDS_MAX = 6,
    GATHER_REPLACED_MAX = 16,
    GATHER_ACCUSATIONS_MAX = 4096,
};

/* The steps in which sites speak; the phase of step s is GATHER_OPEN + s. */
enum gather_said { SAID_ADVERT, SAID_SHARES, SAID_MASKED, SAID_CONSENT, SAID_UNMASK, SAID_STEPS };

/* What a site said in one step of the current attempt. */
struct heard {
    bool here;
    uint8_t hash[HASH_BYTES];                   // of the body
    uint8_t signed_bytes[MESSAGE_ENVELOPE_MAX]; // evidence, and for forwarding
    size_t signed_len;                          // 0 if it was longer
};

struct blob {
    uint8_t *at;
    size_t len;
};

struct peer {
    uint32_t id;
    bool in_plan;
    uint64_t nominal_size;

    bool joined;
    uint32_t suites; // bit k: it knows suite k
    uint8_t session[MESSAGE_NONCE_BYTES];
    uint8_t dead[GATHER_DEAD_SESSIONS][MESSAGE_NONCE_BYTES];
    size_t n_dead;
    uint64_t seen_ms; // 0: never
    enum message_activity activity;

    bool answered, accepted, suspended; // the plan; in this run
    enum message_code code;             // why not
    uint32_t cohort;
    uint32_t n_told_end;

    bool in_attempt, dropped; // in V0; fell out since
    uint8_t attempt_session[MESSAGE_NONCE_BYTES];
    struct heard heard[SAID_STEPS];
    struct blob bundle; // its signed SHARES, with masks on: evidence, if one of them is bad
    bool uploaded;
    uint8_t root[HASH_BYTES]; // of its vector
    uint64_t progress_ms;
};

/* A site could not read what another one has sealed for it.. */
struct accusation {
    uint32_t by, dealer;
};

struct gather {
    struct gather_settings settings;
    struct gather_effects *effects; // of the step in progress
    const struct gather_event *event;
    uint64_t now_ms;
    enum choir_err err; // latched in a step

    size_t n_peers;
    struct peer *peer; // beside settings.roster.id

    bool running;
    struct gather_run run;
    uint8_t *plan;
    uint64_t round;   // the one in work, or the next
    uint64_t closed;  // with a model
    uint32_t attempt; // last opened of `round`; 0: none
    bool opened;      // the attempt is alive
    bool revealed;    // CONSENTS may have left
    bool restored;    // read from the journal: V1 and R1 are not known
    enum gather_phase phase;
    uint32_t threshold, minimum;
    uint64_t phase_began_ms, deadline_ms, wait_until_ms, resent_ms;
    uint32_t extended;
    char reason[MESSAGE_TEXT_MAX + 1];

    struct site_set members[SAID_STEPS]; // V0, V1, V2, U, U
    uint8_t r[4][HASH_BYTES];
    struct blob said[SAID_STEPS]; // body sent in phase s: OPEN, ADVERTS, SHARES_ALL, SURVIVORS,
                                  // CONSENTS
    uint8_t roots[MESSAGE_SITES_MAX][HASH_BYTES]; // of U
    // With masks on, of this attempt: what comes of the shares; then the proof and what unmasks.
    struct unmasking *unmasking;
    struct blob proof;
    struct maskset *unmask;
    uint8_t revealed_hash[HASH_BYTES];
    size_t n_accusations; // of this run
    struct accusation accusation[GATHER_ACCUSATIONS_MAX];
    struct site_set closed_sites; // of the newest ROUND_CLOSE
    struct blob close;            // newest ROUND_CLOSE
    uint64_t close_round;
    uint32_t close_attempt;
    uint8_t close_r3[HASH_BYTES];
    struct blob offer; // PLAN_OFFER of this run
    struct blob end;   // RUN_END of the last run
    uint8_t end_run[MESSAGE_RUN_BYTES];

    uint8_t *scratch;                                        // JOURNAL_RECORD_MAX
    uint8_t small[GATHER_SMALL_MAX + 1][GATHER_SMALL_BYTES]; // the last: ATTEMPT_ABANDONED
    size_t n_small;
    struct site_set to[GATHER_EFFECTS_MAX];
    uint8_t *records[GATHER_RECORDS_MAX]; // of this step
    size_t n_records;
    uint8_t *replaced[GATHER_REPLACED_MAX]; // bodies that effects of this step may point to
    size_t n_replaced;
    struct message message; // the one being handled
    struct message answer;  // the one being written
    struct said list;
    struct journal_record record;
};

/* gather.c */
struct gather_effect *gather_effect_add(struct gather *gather, enum gather_effect_kind kind);
void gather_report(struct gather *gather, enum message_code code, uint32_t site, const char *format,
                   ...) CHOIR_PRINTF(4, 5);
/* gather->record as a JOURNAL effect. */
void gather_journal(struct gather *gather);
/* Encodes gather->answer into *blob; the old body lives until the end of the step. */
void gather_keep(struct gather *gather, struct blob *blob);
/* Empties *blob; the old body lives until the end of the step. */
void gather_forget_body(struct gather *gather, struct blob *blob);
void gather_forget_replaced(struct gather *gather);
/* Sends a kept body of this round and attempt; `to` is copied. Nothing if `to` is empty. */
void gather_send(struct gather *gather, enum message_kind kind, const struct blob *blob,
                 const uint8_t transcript[static HASH_BYTES], const struct site_set *to);
void gather_send_one(struct gather *gather, enum message_kind kind, const struct blob *blob,
                     const uint8_t transcript[static HASH_BYTES], uint32_t to);
/* gather->answer, small, to one site. Dropped if a step has too many: they are asked for again. */
void gather_answer(struct gather *gather, const uint8_t run[static MESSAGE_RUN_BYTES],
                   uint64_t round, uint32_t attempt, uint32_t to);
struct peer *gather_peer(struct gather *gather, uint32_t id);
bool gather_present(const struct gather *gather, const struct peer *peer);
/* May take part in an attempt: joined, heard of lately, has accepted the plan. */
bool gather_eligible(const struct gather *gather, const struct peer *peer);
void gather_everybody(struct gather *gather, struct site_set *to);

/* gather_peers.c */
void gather_on_join(struct gather *gather, struct peer *peer);
void gather_on_plan_answer(struct gather *gather, struct peer *peer,
                           const struct incoming *message);
void gather_on_heartbeat(struct gather *gather, struct peer *peer);
void gather_on_refuse(struct gather *gather, struct peer *peer, const struct incoming *message);
void gather_on_leave(struct gather *gather, struct peer *peer);
void gather_offer_plan(struct gather *gather, const struct site_set *to);
/* Keeps it out for the rest of the run, with the two messages as evidence (either may be NULL). */
void gather_suspend(struct gather *gather, struct peer *peer, enum message_code code,
                    const struct blob *first, const struct incoming *second);
/* The vector that the site signed cannot be added to the others. */
void gather_on_upload_forged(struct gather *gather, const struct gather_event *event);
void gather_drop(struct gather *gather, struct peer *peer, const char *why);
void gather_end_run(struct gather *gather, enum message_code code, const char *text);

/* gather_open.c */
void gather_wait(struct gather *gather, uint64_t until_ms);
/* Opens the next attempt if enough sites are there. True if the phase changed. */
bool gather_try_open(struct gather *gather);
void gather_next_round(struct gather *gather);
/* Ends the run if its last round is over; true if so. */
bool gather_end_if_done(struct gather *gather);
void gather_lose(struct gather *gather, const char *text);
void gather_on_merged(struct gather *gather, const struct gather_event *event);
void gather_log_opened(struct gather *gather);
void gather_log_survivors(struct gather *gather);
/* gather->answer is the ROUND_CLOSE. */
void gather_log_closed(struct gather *gather);
/* Takes V0, T, U_min and R0 from a ROUND_OPEN: its body in said[0], decoded in answer. */
void gather_take_open(struct gather *gather);

/* gather_attempt.c */
void gather_on_said(struct gather *gather, struct peer *peer, const struct incoming *message,
                    enum gather_said step);
void gather_on_uploaded(struct gather *gather, const struct gather_event *event);
/* Sends the message of this phase to a site whose answer is awaited. */
void gather_remind(struct gather *gather, const struct peer *peer);
void gather_resend(struct gather *gather);
void gather_enter(struct gather *gather, enum gather_phase phase);
/* Its answer to the current phase is complete. */
bool gather_answered(const struct gather *gather, const struct peer *peer);
bool gather_awaited(const struct gather *gather, const struct peer *peer);
/* The attempt is dead; before a reveal it is tried again, after it the round is lost. */
void gather_abandon(struct gather *gather, enum message_code code, const char *text);
/* Forgets what was said in the attempt. */
void gather_clear_attempt(struct gather *gather);
/* The transcript hash that the message of phase `step` answers. */
const uint8_t *gather_transcript(const struct gather *gather, size_t step);
/* It has said its part of `step`: with its vector, where that belongs to it. */
bool gather_has_said(const struct peer *peer, enum gather_said step);
/* Vectors that came in and will not be used: all but those of `but` (NULL: all). */
void gather_reset_uploads(struct gather *gather, const struct site_set *but);

/* gather_steps.c */
/* Moves on as far as it goes: called at the end of every step. */
void gather_advance(struct gather *gather);
/* Puts what the sites of `set` said in `step` into gather->list. */
void gather_said_list(struct gather *gather, enum gather_said step, const struct site_set *set);
/* R1 is made of the adverts in gather->list, and so on. */
void gather_link_transcript(struct gather *gather, unsigned step);

/* gather_masks.c: all of these are for runs with masks on only */
/* The object that keeps what the attempt needs; NULL (and gather->err) if there is no memory. */
struct unmasking *gather_masks(struct gather *gather);
void gather_forget_masks(struct gather *gather);
/* Why an attempt over `sites` cannot have masks; NULL if it can. */
const char *gather_masks_hindrance(const struct gather *gather, const struct site_set *sites);
/* Whether the decoded body can be used. */
bool gather_masks_fit(struct gather *gather, const struct peer *peer, enum gather_said step);
/* Keeps what the masks need of it. False if it cannot be taken: the site then leaves. */
bool gather_masks_hear(struct gather *gather, struct peer *peer, const struct incoming *message,
                       enum gather_said step);
/* Takes out of `in` who has too few neighbours in it for its secrets to be restored. */
void gather_masks_prune(struct gather *gather, struct site_set *in);
/* True if a sum over `u` can be unmasked, as far as can be told now. */
bool gather_masks_reach(struct gather *gather, const struct site_set *u);
/* A site cannot read the share of another one. Counts who names whom. */
void gather_on_bad_share(struct gather *gather, struct peer *peer, const struct incoming *message);
/* What `to` gets of everybody's shares, in gather->answer. */
void gather_shares_for(struct gather *gather, uint32_t to);
/* V2 and U are known. */
void gather_masks_settle(struct gather *gather);
/* After a restart: takes the adverts again from what was journaled. */
void gather_masks_resume(struct gather *gather);
/* Restores what the shares allow. True if the sum can be unmasked: the proof is then an effect. */
bool gather_unmask(struct gather *gather);

#endif
