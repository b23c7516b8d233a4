/* budget - may these rounds be run: the site's rule, as pure arithmetic.
 *
 * Only events that share a data lineage come in. Whole schedules are reserved before the
 * first round and nothing is ever given back.
 */
#ifndef CHOIR_PRIVACY_BUDGET_H
#define CHOIR_PRIVACY_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "privacy/event.h"

struct budget {
    double epsilon;  // > 0, finite
    double delta;    // (0, 1)
    bool allow_none; // the policy says in words that mechanism "none" may run
};

enum budget_answer {
    BUDGET_ALLOWED,
    BUDGET_TOO_MUCH,    // epsilon would pass the budget
    BUDGET_UNPROTECTED, // mechanism none, and the policy does not list it
    BUDGET_NOT_COVERED, // no accountant knows a bound for an event
};

struct budget_verdict {
    enum budget_answer answer;
    double epsilon_before; // of what is committed and reserved
    double epsilon_after;  // with the new schedule; infinite for none
    double epsilon_new;    // of the new schedule alone
    uint64_t rounds_fit;   // how many rounds of the schedule would still fit, at most `rounds`
};

/* Decides on `rounds` rounds of `round_event` after `events`. `delta_slack`, of earlier and
 * new rounds together, is taken off delta first (privacy/mechanism.h); if nothing is left,
 * epsilon is infinite. Where the policy allows mechanism none, earlier `none` events make
 * the epsilons infinite, but the answer is that of the protected events alone.
 * Fails with CHOIR_ERR_FORMAT if the budget, the slack or an event is out of range. */
CHOIR_MUST_CHECK enum choir_err budget_decide(const struct budget *budget,
                                              const struct privacy_event *events, size_t n,
                                              const struct privacy_event *round_event,
                                              uint64_t rounds, double delta_slack,
                                              struct budget_verdict *verdict);

/* Epsilon at `delta` of events; infinite where one is `none`. Fails with CHOIR_ERR_REFUSED if
 * one is not covered, CHOIR_ERR_FORMAT if one or delta is out of range. */
CHOIR_MUST_CHECK enum choir_err budget_epsilon(const struct privacy_event *events, size_t n,
                                               double delta, double *epsilon);

#endif
