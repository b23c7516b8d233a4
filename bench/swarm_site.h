/* swarm_site - one site of a swarm: the state machine, masks, transfers and connections of a node,
 * without its vault: nothing is trained and nothing is kept on disk, marks and consents included. For
 * measuring only. Many of them live in one process and one thread. */
#ifndef CHOIR_BENCH_SWARM_SITE_H
#define CHOIR_BENCH_SWARM_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "configs/plan.h"
#include "crypto/sign.h"
#include "round/site.h"
#include "wire/roster.h"

enum {
    SWARM_UPLOADED = 31,
    SWARM_KINDS = 32,            // above every kind of letter
    SWARM_REMEMBERED = 1U << 14, // signatures that a process remembers at most
};

enum swarm_work {
    SWARM_SIGNATURES, // checked: of letters and of what they hold
    SWARM_ADVERTISE,  // fresh keys
    SWARM_SHARE,      // agreement on keys, Shamir, sealed boxes
    SWARM_OPEN,       // boxes opened, seeds of the masks
    SWARM_MASK,       // masks put on, leaves hashed
    SWARM_REVEAL,     // what is left of the step that ends with UNMASK
    SWARM_OTHER,      // of the state machine
    SWARM_WORKS,
};

/* What all sites of a process share. */
struct swarm {
    const struct roster *roster;
    const struct plan *plan;
    uint8_t seed[SIGN_SEED_BYTES]; // of all keys
    uint8_t run_suites;            // bit k: mask suite k is known
    int update;                    // descriptor of the update that every site sends
    struct site_update about;      // its digest and length
    double seconds[SWARM_WORKS];   // CPU time of this thread
    uint64_t n_signatures;         // that were checked
    uint64_t n_remembered;         // that another site of the process had found good
    uint8_t (
        *good)[HASH_BYTES]; // [SWARM_REMEMBERED], hashes of good letters; NULL: each site checks
    uint64_t bytes_up, bytes_down;                        // of sites that are gone
    uint64_t first_ms[SWARM_KINDS], last_ms[SWARM_KINDS]; // letters by kind: taken, or done with
    double signing_now; // signature checks within the step that goes on
};

struct swarm_keys {
    uint8_t sign_secret[SIGN_SECRET_BYTES], curve_secret[CURVE_KEY_BYTES];
    uint8_t nonce[ROSTER_NONCE_BYTES];
};

/* Name, keys and commitment of site `number` >= 1, made of the seed. */
void swarm_identity(const uint8_t seed[static SIGN_SEED_BYTES], uint32_t number,
                    struct roster_site *site, struct swarm_keys *keys);

struct swarm_site;

/* Connects; `drops`: it vanishes without a word when its shares are with the others. `swarm` is
 * kept. Fails with CHOIR_ERR_MISSING (not on the roster), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err swarm_site_new(struct swarm *swarm, uint32_t number, bool drops,
                                               struct swarm_site **out);
void swarm_site_free(struct swarm_site *site);

/* Takes what came, works and sends. Never ticks. *busy becomes true if anything was done. */
CHOIR_MUST_CHECK enum choir_err swarm_site_turn(struct swarm_site *site, bool *busy);

/* Time passed: a heartbeat. At least every few seconds. */
CHOIR_MUST_CHECK enum choir_err swarm_site_tick(struct swarm_site *site);

/* Gone on purpose, or the run has ended for it. */
bool swarm_site_is_done(const struct swarm_site *site);
bool swarm_site_closed_round(const struct swarm_site *site);

#endif
