#include "privacy/calibrate.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double least_noise = 0.05;
static const double most_noise = 1e5;

static enum choir_err cost_of(double noise_multiplier, double rate, uint64_t steps, double delta,
                              double *epsilon)
{
    struct privacy_event event = event_of(EVENT_GAUSSIAN);

    event.noise_multiplier = noise_multiplier;
    event.sampling = SAMPLING_POISSON;
    event.sampling_rate = rate;
    event.count = steps;
    return rdp_epsilon(&event, 1, delta, epsilon);
}

enum choir_err calibrate_noise(double epsilon, double delta, double rate, uint64_t steps,
                               double *noise_multiplier)
{
    double low = least_noise;
    double high = most_noise;
    double cost = 0.0;
    enum choir_err err;

    if (!(epsilon > 0.0) || !(delta > 0.0))
        return CHOIR_ERR_FORMAT;
    err = cost_of(low, rate, steps, delta, &cost);
    if (err != CHOIR_OK)
        return err;
    if (cost <= epsilon) {
        *noise_multiplier = low;
        return CHOIR_OK;
    }
    err = cost_of(high, rate, steps, delta, &cost);
    if (err != CHOIR_OK)
        return err;
    if (cost > epsilon)
        return CHOIR_ERR_REFUSED;
    while (high > low * (1.0 + 1e-6)) {
        double middle = sqrt(low * high);

        err = cost_of(middle, rate, steps, delta, &cost);
        if (err != CHOIR_OK)
            return err;
        if (cost <= epsilon)
            high = middle;
        else
            low = middle;
    }
    *noise_multiplier = high;
    return CHOIR_OK;
}

// What a budget allows, and the state that a schedule comes on top of.
struct question {
    const struct rdp_curve *spent;
    const struct privacy_event *event;
    double epsilon, delta;
};

// Whether n times the event stays within epsilon.
static enum choir_err fits(const struct question *question, uint64_t n, bool *answer)
{
    struct rdp_curve curve = *question->spent;
    struct privacy_event all = *question->event;
    double cost = HUGE_VAL;
    enum choir_err err;

    *answer = false;
    if (n > 0 && all.count > EVENT_MAX_WHOLE / n)
        return CHOIR_OK;
    all.count *= n;
    err = rdp_curve_add(&curve, &all);
    if (err != CHOIR_OK)
        return err;
    err = rdp_curve_epsilon(&curve, question->delta, &cost);
    *answer = cost <= question->epsilon;
    return err;
}

enum choir_err calibrate_repeats(const struct rdp_curve *spent, const struct privacy_event *event,
                                 double epsilon, double delta, uint64_t most, uint64_t *repeats)
{
    struct rdp_curve start = *spent;
    struct rdp_curve one_more = *spent;
    struct question question = {&start, event, epsilon, delta};
    uint64_t low = 0; // fits, or nothing does
    uint64_t high = most;
    enum choir_err err = rdp_curve_add(&one_more, event);

    if (err != CHOIR_OK)
        return err;
    memcpy(start.last, one_more.last, sizeof start.last); // the costly part, computed once
    memcpy(start.last_step, one_more.last_step, sizeof start.last_step);
    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        bool answer = false;

        err = fits(&question, middle, &answer);
        if (err != CHOIR_OK)
            return err;
        if (answer)
            low = middle;
        else
            high = middle - 1;
    }
    *repeats = low;
    return CHOIR_OK;
}
