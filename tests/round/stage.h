/* stage - the aggregator's machine with sites 1..n that a test moves by hand: a run of two rounds.
 *
 * One at a time: the machine, what it last gave back and what its sites say next are plain
 * variables. With masks on (terms.suite) the sites' secrets are real; a test may change an advert,
 * a bundle or an answer before it is said. After `starts_again()` the machine is another one, made
 * from what was journaled.
 */
#ifndef CHOIR_TESTS_ROUND_STAGE_H
#define CHOIR_TESTS_ROUND_STAGE_H

#include "round/gather.h"
#include "round/masking.h"

enum { N = 4, STAGE_SITES = 7, STAGE_RECORDS = 128, DEADLINE_MS = 10000, BEAT_MS = 1000 };

struct stage_terms {
    uint32_t n, collusion; // sites, c
    uint16_t suite;
    uint32_t suites; // that sites know, bits
    uint32_t gone;   // sites that say nothing in this attempt, bits by id
};

extern struct stage_terms terms;
extern struct gather *gather;
extern struct gather_effects effects;
extern struct gather_status status;
extern struct gather_run run;
extern struct message message; // the next message of a site
extern uint64_t now_ms;
extern uint8_t *records[STAGE_RECORDS]; // what was journaled
extern size_t record_len[STAGE_RECORDS], n_records;
extern const uint8_t zeros[HASH_BYTES];
extern uint8_t session; // of the next JOIN
extern uint8_t r0[HASH_BYTES], r1[HASH_BYTES], r2[HASH_BYTES], r3[HASH_BYTES];
extern struct msg_advertise advert[STAGE_SITES + 1];
extern struct msg_shares bundle[STAGE_SITES + 1];
extern struct msg_unmask answer[STAGE_SITES + 1];

/* cmocka: a new run of four sites without masks; of seven with masks and c = 2; its end. */
int new_run(void **state);
int new_masked_run(void **state);
int end_run(void **state);

/* The last effect of the kind, the first message of the kind; NULL if there is none. */
const struct gather_effect *find(enum gather_effect_kind kind);
const struct gather_effect *sent(enum message_kind kind);
/* The same where it must be there. */
const struct gather_effect *the(enum gather_effect_kind kind);
const struct gather_effect *the_sent(enum message_kind kind);
/* Whether the last step reported a text that holds this one. */
bool reported(const char *part);

void happens(struct gather_event event);
/* `message` from this site. */
void arrives(uint32_t from, const uint8_t *transcript);
void time_passes(uint64_t ms);
/* The aggregator dies and comes back with its journal. */
void starts_again(void);

void joins(uint32_t from);
void accepts(uint32_t from);
void starts(void);
void advertises(uint32_t from);
void shares(uint32_t from);
void masked(uint32_t from, uint8_t root);
void uploads(uint32_t from); // its header, and its vector arrives
void consents(uint32_t from);
void unmasks(uint32_t from);
void beats(uint32_t from, enum message_activity activity);

/* Everybody who is not gone does the same, up to this phase. */
void to_open(void);
void to_share(void);
void to_masked(void);
void to_consent(void);
void to_unmask(void);

#endif
