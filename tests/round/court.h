/* court - the aggregator's machine among honest sites (cheat.h) and accomplices that misbehave.
 *
 * Real machines on both sides, with masks and signatures, in one round on a clock of its own.
 * Whatever a site or an accomplice says passes through court.tamper on its way. An accomplice
 * follows the protocol, with shares and masks of its own, as far as court.silent_after. */
#ifndef CHOIR_TESTS_ROUND_COURT_H
#define CHOIR_TESTS_ROUND_COURT_H

#include "cheat_state.h"
#include "round/gather.h"

enum { COURT_REPORTS = 64, COURT_UPLOADS = 64, COURT_DEADLINE_MS = 3000 };

struct court_report {
    enum message_code code;
    uint32_t site;
    char text[MESSAGE_TEXT_MAX + 1];
};

struct court {
    struct gather *gather;
    struct gather_run run;
    struct view view; // of the newest attempt
    size_t n_heard;   // of cheat.spoken
    bool closed, lost, broken;
    uint64_t attempts;
    struct site_set u; // of the sum
    struct lanes sum;
    struct court_report report[COURT_REPORTS];
    size_t n_reports;
    bool suspended[CHEAT_IDS];
    size_t n_merged;
    struct gather_event upload[COURT_UPLOADS], merged; // told of when the letters are read
    size_t n_uploads, n_told;
    bool has_merged;

    /* What the test sets. How often the letter arrives; it may be changed, and is then sealed
     * again with cheat_sign() by whoever changes it. NULL: once, unchanged. */
    size_t (*tamper)(struct spoken *letter);
    enum message_kind silent_after; // of accomplices; 0: they speak to the end of CONSENT
    bool keeps_vector[CHEAT_IDS];   // the upload of this site never arrives
    size_t uploads;                 // how often an upload is told of; 0: once
};

extern struct court court;

void court_begin(const struct cheat_terms *terms);
void court_end(void);

/* Until the first round is closed or lost, at most a minute of its time. */
void court_play(void);

/* True if the sum is that of the honest sites in it. */
bool court_sum_is_exact(void);
/* True if somebody was told this about the site. */
bool court_named(uint32_t site, enum message_code code);

#endif
