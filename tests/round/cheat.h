/* cheat - honest sites, with masks and signatures, in the hands of an aggregator that cheats.
 *
 * Each honest site is the real machine of round/site.h, with a home that charges, masks and
 * stores whatever it is asked to: what is tested is the machine alone. The test is the
 * aggregator. It writes every message itself, a different one to each site if it likes, and has
 * accomplices: sites of the roster (or with keys from elsewhere) whose secrets it knows.
 *
 * A `view` is one story of an attempt, as some of the sites are told it. In the end
 * cheat_learns() takes off every mask that the attacker can work out from what it has heard and
 * from what its accomplices hold. Graphs are complete; a vector is one segment. */
#ifndef CHOIR_TESTS_ROUND_CHEAT_H
#define CHOIR_TESTS_ROUND_CHEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "round/site.h"
#include "round/transcript.h"

enum {
    CHEAT_IDS = 16, // ids are 1..CHEAT_IDS - 1
    CHEAT_PARAMETERS = 10,
    CHEAT_LANES = CHEAT_PARAMETERS + 1,
    CHEAT_VECTOR_BYTES = 4 * CHEAT_LANES,
};

struct cheat_terms {
    uint32_t n;         // ids 1..n stand on the roster
    uint32_t n_honest;  // ids 1..n_honest; the rest, and ids above n, are accomplices
    uint32_t collusion; // c of the roster
    uint16_t suite;     // of the plan
    uint32_t cohort;    // the sites' own minimum
};

struct view {
    struct msg_round_open open;
    uint8_t r[4][HASH_BYTES];
    struct site_set v1, v2, u;
};

/* One vector, or a sum of them. */
struct lanes {
    uint32_t at[CHEAT_LANES];
};

/* Begins: every honest site has accepted the plan. Ends the process if memory is short. */
void cheat_begin(const struct cheat_terms *terms);
void cheat_end(void);

/* Sites 1..n, or those named, ended by 0. */
struct site_set cheat_sites(uint32_t n);
struct site_set cheat_list(const uint32_t *ids);
#define CHEAT_SET(...) cheat_list((const uint32_t[]){__VA_ARGS__, 0})

/* A ROUND_OPEN as an honest aggregator would write it. Change view->open before cheat_open(). */
void cheat_propose(struct view *view, uint64_t round, uint32_t attempt, const struct site_set *v0);

/* The broadcasts of an attempt, in order, made of what the sites (and accomplices) said in this
 * view, told to the honest sites of `to`. Accomplices in the lists say their part first. */
void cheat_open(struct view *view, const struct site_set *to);
void cheat_adverts(struct view *view, const struct site_set *v1, const struct site_set *to);
void cheat_shares(struct view *view, const struct site_set *v2, const struct site_set *to);
void cheat_survivors(struct view *view, const struct site_set *u, const struct site_set *to);
void cheat_consents(struct view *view, const struct site_set *of, const struct site_set *to);
void cheat_close(struct view *view, const struct site_set *to);

/* All of it, over V0 = V1 = V2 = the sites of the proposal; U = `u`. */
void cheat_play(struct view *view, const struct site_set *u);

/* The next message to be written: filled with the right thing by cheat_write_*(), changed by the
 * test, sent by cheat_tell(). */
extern struct message cheat_message;
void cheat_write_adverts(struct view *view, const struct site_set *v1);
void cheat_write_shares(struct view *view, const struct site_set *v2, uint32_t to);
void cheat_write_survivors(struct view *view, const struct site_set *u);
void cheat_write_consents(struct view *view, const struct site_set *of);
void cheat_tell(const struct view *view, uint32_t to, const uint8_t transcript[static HASH_BYTES]);

/* Says something of an honest site in its name, with a key that is not its own: the attacker
 * takes its place in `view`, as an accomplice. */
void cheat_impersonate(uint32_t id);
/* Makes accomplice `id` advertise these keys instead of fresh ones; NULL: fresh. */
void cheat_use_keys(uint32_t id, const uint8_t *mask_key, const uint8_t *share_key);

/* The node of site `id` crashes and starts again with its mark. */
void cheat_restart(uint32_t id);

/* The same from a copy of its disk that is older than the run. */
void cheat_restore(uint32_t id);

/* Time passes at site `id`. */
void cheat_tick(uint32_t id);

/* How often site `id` has said this in the attempt of `view`; any transcript. */
size_t cheat_said(const struct view *view, uint32_t id, enum message_kind kind);
/* The body of the last one; fails the test if there is none. */
const struct message *cheat_heard(const struct view *view, uint32_t id, enum message_kind kind);
/* The envelope of the last one, for lists; changing its bytes breaks its signature. */
uint8_t *cheat_envelope(const struct view *view, uint32_t id, enum message_kind kind, size_t *len);
/* What site `id` last refused with since it was last told a ROUND_OPEN; NONE: it did not. */
enum message_code cheat_refused(uint32_t id);

/* Adds up the true updates of these honest sites. */
struct lanes cheat_truth(const struct view *view, const struct site_set *sites);
/* The vector of `id` in `view` without its pair masks, which must be known: what a vector without a
 * self mask would show. */
bool cheat_without_pairs(const struct view *view, uint32_t id, struct lanes *vector);
/* Whether the attacker can work out the sum of the updates of these honest sites, as they sent
 * them in `view`, from all that was said in its attempt; then *sum is what it finds. */
bool cheat_learns(const struct view *view, const struct site_set *sites, struct lanes *sum);
struct lanes cheat_minus(const struct lanes *a, const struct lanes *b);
bool cheat_same(const struct lanes *a, const struct lanes *b);

#endif
