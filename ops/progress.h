/* progress - where a run stands, as the aggregator knows it, and how a terminal shows it.
 *
 * Only protocol facts: phases, counts, times, sizes, names of sites. Never a loss, a norm or
 * a count of records.
 */
#ifndef CHOIR_OPS_PROGRESS_H
#define CHOIR_OPS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum {
    PROGRESS_NAME_MAX = 64,
    PROGRESS_TEXT_MAX = 256,
    PROGRESS_SITES_MAX = 1000,
    PROGRESS_BYTES_MAX = 128 << 10,
    PROGRESS_RUN_BYTES = 16,
    PROGRESS_ROUNDS_MAX = 20, // closed rounds that are told one by one
};

enum progress_state { PROGRESS_IDLE, PROGRESS_WAITING, PROGRESS_RUNNING, PROGRESS_ENDED };

/* How one site stands in the round that is open. */
enum progress_site_state {
    PROGRESS_SITE_MISSING, // not connected
    PROGRESS_SITE_JOINED,  // connected, not (yet) in the round
    PROGRESS_SITE_BUSY,    // in the round, working
    PROGRESS_SITE_IN,      // its update is here
    PROGRESS_SITE_LATE,    // in the round, and past the deadline or restarted
    PROGRESS_SITE_REFUSED, // refused the plan, or suspended
    PROGRESS_SITE_STATES,
};

struct progress_site {
    char name[PROGRESS_NAME_MAX];
    enum progress_site_state state;
};

/* A round that has a model: whose sum it was, and what it would have borne. */
struct progress_round {
    uint64_t round_no;
    uint32_t attempt;
    uint32_t invited;            // sites it was opened with: |V0|
    uint32_t in_sum;             // sites whose sum was opened: |U|
    uint32_t threshold, minimum; // T and U_min; invited - minimum sites could be lost
};

/* The sums of a run that were opened so far. */
struct progress_sums {
    uint16_t suite;       // of the masks, as plan_suite() gives it; 0: secure aggregation is off
    uint32_t collusion;   // sites that may collude with the aggregator, as the roster says
    uint64_t n;           // what follows is 0 before the first
    uint32_t least, most; // sites of the smallest and of the largest sum
    uint32_t may_lose;    // sites that every round could have lost
    size_t n_closed;
    struct progress_round closed[PROGRESS_ROUNDS_MAX]; // the newest ones, newest last
};

struct progress {
    enum progress_state state;
    bool complete; // PROGRESS_ENDED: every round closed
    uint8_t run[PROGRESS_RUN_BYTES];
    char plan[PROGRESS_NAME_MAX];
    char phase[PROGRESS_NAME_MAX];  // "open", "masked", ...
    char reason[PROGRESS_TEXT_MAX]; // why it waits or ended; empty if there is nothing to say
    uint64_t round_no, rounds;      // the open round, from 1; all rounds
    uint32_t attempt;
    uint64_t elapsed_ms;           // since the first round opened
    uint64_t deadline_ms;          // until the phase is over, 0 if none runs
    uint64_t bytes_up, bytes_down; // of all sites together, so far
    struct progress_sums sums;
    size_t n_sites;
    struct progress_site sites[PROGRESS_SITES_MAX];
};

CHOIR_MUST_CHECK enum choir_err progress_encode(const struct progress *progress, uint8_t *bytes,
                                                size_t max, size_t *len);
/* Fails with CHOIR_ERR_FORMAT. */
CHOIR_MUST_CHECK enum choir_err progress_decode(const uint8_t *bytes, size_t len,
                                                struct progress *progress);

/* Counts a round that was closed; one that is not above the newest is there already. */
void progress_sums_add(struct progress_sums *sums, const struct progress_round *round);

/* "secure aggregation on (aes-256-ctr): 20 sums, each over 4 of 4 sites; a round could lose 1 site,
 * and 0 may collude with the aggregator", without a newline, shorter before the first sum;
 * `suite` is the name of sums->suite, `n_sites` are those of the plan. */
void progress_sums_text(const struct progress_sums *sums, const char *suite, size_t n_sites,
                        char *text, size_t max);

/* One line of at most `width` columns without a newline, as
 *   round 12/30 [########........] masked  in 3  late 1 (south)  missing 0   0:07 left  */
void progress_line(const struct progress *progress, char *line, size_t max, size_t width);

#endif
