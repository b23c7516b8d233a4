/* site_state - what site.c (the run), site_attempt.c (one attempt) and site_lists.c (what the others
 * say in it) share. Private to round/. */
#ifndef CHOIR_ROUND_SITE_STATE_H
#define CHOIR_ROUND_SITE_STATE_H

#include "round/masking.h"
#include "round/site.h"
#include "round/transcript.h"

enum site_phase {
    SITE_IN_NONE,       // no attempt, or out of it
    SITE_IN_MARKING,    // the mark is being stored
    SITE_IN_ADVERTISED, // ADVERTISE sent
    SITE_IN_SHARED,     // SHARES sent
    SITE_IN_TRAINING,   // R2 is known, the update is not ready
    SITE_IN_MASKING,    // the masks are being put on; not in suite 0
    SITE_IN_MASKED,     // MASKED sent, the upload runs or is done
    SITE_IN_CONSENTING, // the consent is being stored
    SITE_IN_CONSENTED,  // CONSENT sent
    SITE_IN_REVEALING,  // the mark is being stored with `revealed`
    SITE_IN_UNMASKED,   // UNMASK sent
};

enum {
    SITE_SMALL_BYTES = 512,
    SITE_SMALL_MAX = 4,   // small bodies written in one step
    SITE_PAST_RUNS = 8,   // ended runs that are remembered
    SITE_OWN_BYTES = 256, // bodies but those of SHARES and UNMASK in suites with masks
    SITE_RETIRED_MAX = 4, // pieces of memory that one step takes out of use
};

/* The message of this phase, as it is sent again when there is no answer. */
struct site_sent {
    bool any;
    enum message_kind kind;
    uint8_t transcript[HASH_BYTES];
    uint8_t own[SITE_OWN_BYTES];
    uint8_t *large; // locked memory for what does not fit there; or NULL
    uint8_t *body;  // one of the two
    size_t len;
    uint64_t at_ms;
};

struct site {
    struct site_settings settings;
    struct site_effects *effects; // of the step in progress
    uint64_t now_ms;
    uint8_t small[SITE_SMALL_MAX][SITE_SMALL_BYTES];
    size_t n_small;

    bool linked, welcomed;
    uint64_t joined_ms, beat_ms; // when JOIN and HEARTBEAT were last sent

    bool in_run, checking; // `plan` holds a verdict; one is being made for `checking_run`
    uint8_t checking_run[MESSAGE_RUN_BYTES];
    struct site_plan plan;
    struct mark mark;
    uint64_t closed; // last round closed in this run
    uint8_t past[SITE_PAST_RUNS][MESSAGE_RUN_BYTES];
    size_t n_past;
    struct tree_head log; // largest head seen in a ROUND_OPEN

    enum site_phase phase;
    struct msg_round_open open; // of the newest attempt accepted
    uint8_t r[4][HASH_BYTES];   // R0..R3, as far as the phase
    struct site_set v1, v2, u;
    struct site_sent sent;
    uint8_t advert_hash[HASH_BYTES], bundle_hash[HASH_BYTES], header_hash[HASH_BYTES];
    struct graph graph;              // of this attempt; suites with masks only, like the next two
    struct masking *masking;         // from ADVERTISE on, to UNMASK
    struct maskset *masks;           // from R2 on, until they are put on
    struct maskset *retired_masks;   // freed with the next step
    struct site_update leaving;      // what is uploaded: `update`, or what it became with the masks
    void *retired[SITE_RETIRED_MAX]; // locked memory, freed with the next step
    size_t n_retired;
    bool model_ready, fetching, training, uploaded;
    uint64_t fetched_ms;
    uint8_t model[HASH_BYTES]; // the one that is ready
    uint64_t update_round;     // the round `update` belongs to; 0: none
    struct site_update update;

    struct message message; // the one being handled
    struct message answer;  // the one being written
    struct said said;
};

struct site_effect *site_effect_add(struct site *site, enum site_effect_kind kind);
void site_report(struct site *site, enum message_code code, const char *text);
/* REPORT, and REFUSE to the aggregator of a message of kind `of` in this or another attempt. */
void site_refuse(struct site *site, enum message_kind of, enum message_code code, const char *text);
void site_refuse_at(struct site *site, enum message_kind of, uint64_t round, uint32_t attempt,
                    enum message_code code, const char *text);
/* The same about a share of site `about` that is missing or cannot be read. */
void site_refuse_about(struct site *site, enum message_kind of, uint32_t about);
/* site->answer as a message that is not sent again. */
void site_send_once(struct site *site, const uint8_t run[static MESSAGE_RUN_BYTES], uint64_t round,
                    uint32_t attempt);

/* Messages of an attempt; site->message is decoded. */
CHOIR_MUST_CHECK enum choir_err site_on_round_open(struct site *site,
                                                   const struct incoming *message);
CHOIR_MUST_CHECK enum choir_err site_on_adverts(struct site *site, const struct incoming *message);
CHOIR_MUST_CHECK enum choir_err site_on_shares_all(struct site *site,
                                                   const struct incoming *message);
CHOIR_MUST_CHECK enum choir_err site_on_survivors(struct site *site,
                                                  const struct incoming *message);
void site_on_consents(struct site *site, const struct incoming *message);
/* Answers of the vault and of the bulk link. */
CHOIR_MUST_CHECK enum choir_err site_on_mark_stored(struct site *site,
                                                    const struct site_event *event);
void site_on_mark_refused(struct site *site, const struct site_event *event);
void site_on_model_ready(struct site *site, const struct site_event *event);
void site_on_model_failed(struct site *site, const struct site_event *event);
CHOIR_MUST_CHECK enum choir_err site_on_update_ready(struct site *site,
                                                     const struct site_event *event);
void site_on_update_refused(struct site *site, const struct site_event *event);
CHOIR_MUST_CHECK enum choir_err site_on_masked(struct site *site, const struct site_event *event);
void site_on_mask_failed(struct site *site, const struct site_event *event);
CHOIR_MUST_CHECK enum choir_err site_on_consent_stored(struct site *site,
                                                       const struct site_event *event);
void site_on_consent_refused(struct site *site, const struct site_event *event);
/* Keeps the body of `message`, which answers `transcript`, and sends it until there is an answer. */
CHOIR_MUST_CHECK enum choir_err site_send_phase(struct site *site, const struct message *message,
                                                const uint8_t transcript[static HASH_BYTES]);
/* R2 and the charged update are there: puts the masks on, if there are any, and uploads. */
CHOIR_MUST_CHECK enum choir_err site_mask(struct site *site);
void site_store_mark(struct site *site);
/* Frees locked memory with the next step; NULL is allowed. */
void site_retire(struct site *site, void *memory);
/* Wipes all secrets of the attempt and what was said last. */
void site_forget(struct site *site);
/* Sends the message of this phase again, and goes on with the upload. */
void site_send_again(struct site *site);
void site_fetch(struct site *site);
/* Leaves the attempt, whose secrets are wiped; the charged update stays. */
void site_drop_attempt(struct site *site);

#endif
