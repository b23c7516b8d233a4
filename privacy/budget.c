#include "privacy/budget.h"

#include <math.h>

#include "privacy/calibrate.h"
#include "privacy/rdp.h"

enum choir_err budget_epsilon(const struct privacy_event *events, size_t n, double delta,
                              double *epsilon)
{
    return rdp_epsilon(events, n, delta, epsilon);
}

static bool is_in_range(const struct budget *budget, double delta_slack)
{
    return budget->epsilon > 0.0 && isfinite(budget->epsilon) && budget->delta > 0.0 &&
           budget->delta < 1.0 && delta_slack >= 0.0;
}

static enum choir_err add_all(struct rdp_curve *curve, const struct privacy_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum choir_err err = rdp_curve_add(curve, &events[i]);

        if (err != CHOIR_OK)
            return err;
    }
    return CHOIR_OK;
}

// The schedule as one event; CHOIR_ERR_FORMAT if its count is too large to state.
static enum choir_err schedule_of(const struct privacy_event *round_event, uint64_t rounds,
                                  struct privacy_event *schedule)
{
    *schedule = *round_event;
    if (event_problem(round_event) != NULL ||
        (rounds > 0 && round_event->count > EVENT_MAX_WHOLE / rounds))
        return CHOIR_ERR_FORMAT;
    schedule->count *= rounds;
    return CHOIR_OK;
}

// The epsilons of the verdict; spent is left with the earlier events in it.
static enum choir_err epsilons(struct rdp_curve *spent, const struct privacy_event *schedule,
                               double delta, struct budget_verdict *verdict)
{
    struct rdp_curve after;
    struct rdp_curve alone;
    enum choir_err err = rdp_curve_epsilon(spent, delta, &verdict->epsilon_before);

    rdp_curve_init(&alone);
    if (err == CHOIR_OK)
        err = rdp_curve_add(&alone, schedule);
    if (err == CHOIR_OK)
        err = rdp_curve_epsilon(&alone, delta, &verdict->epsilon_new);
    after = *spent;
    if (err == CHOIR_OK)
        err = rdp_curve_add(&after, schedule);
    if (err == CHOIR_OK)
        err = rdp_curve_epsilon(&after, delta, &verdict->epsilon_after);
    return err;
}

static enum budget_answer answer_for_none(const struct budget *budget)
{
    return budget->allow_none ? BUDGET_ALLOWED : BUDGET_UNPROTECTED;
}

// Decides with everything covered; `spent` holds the earlier events.
static enum choir_err decide(const struct budget *budget, struct rdp_curve *spent,
                             const struct privacy_event *round_event, uint64_t rounds, double delta,
                             struct budget_verdict *verdict)
{
    struct privacy_event schedule;
    enum choir_err err = schedule_of(round_event, rounds, &schedule);

    if (err == CHOIR_OK)
        err = epsilons(spent, &schedule, delta, verdict);
    if (err != CHOIR_OK)
        return err;
    if (round_event->kind == EVENT_NONE && schedule.count > 0) {
        verdict->answer = answer_for_none(budget);
        verdict->rounds_fit = budget->allow_none ? rounds : 0;
        return CHOIR_OK;
    }
    if (budget->allow_none)
        spent->unprotected = false;
    err =
        calibrate_repeats(spent, round_event, budget->epsilon, delta, rounds, &verdict->rounds_fit);
    if (verdict->rounds_fit == rounds && rounds > 0)
        verdict->answer = BUDGET_ALLOWED;
    return err;
}

enum choir_err budget_decide(const struct budget *budget, const struct privacy_event *events,
                             size_t n, const struct privacy_event *round_event, uint64_t rounds,
                             double delta_slack, struct budget_verdict *verdict)
{
    struct budget_verdict made = {BUDGET_TOO_MUCH, HUGE_VAL, HUGE_VAL, HUGE_VAL, 0};
    struct rdp_curve spent;
    enum choir_err err;

    if (!is_in_range(budget, delta_slack) || event_problem(round_event) != NULL)
        return CHOIR_ERR_FORMAT;
    rdp_curve_init(&spent);
    err = add_all(&spent, events, n);
    if (err == CHOIR_OK && (delta_slack < budget->delta || round_event->kind == EVENT_NONE))
        err = decide(budget, &spent, round_event, rounds, fmax(0.0, budget->delta - delta_slack),
                     &made);
    if (err == CHOIR_ERR_REFUSED) {
        made = (struct budget_verdict){BUDGET_NOT_COVERED, HUGE_VAL, HUGE_VAL, HUGE_VAL, 0};
        err = CHOIR_OK;
    }
    if (err == CHOIR_OK)
        *verdict = made;
    return err;
}
