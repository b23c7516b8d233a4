#include "privacy/tilt.h"

#include <math.h>

static const double log_spare = 20.7; // -ln 1e-9

double tilt_log_moment(const struct loss_sketch *sketch, double order)
{
    double largest = -HUGE_VAL;
    double sum = 0.0;

    for (size_t i = 0; i < sketch->n; i++)
        largest = fmax(largest, order * sketch->at[i]);
    for (size_t i = 0; i < sketch->n; i++)
        sum += sketch->p[i] * exp(order * sketch->at[i] - largest);
    return sum > 0.0 ? largest + log(sum) : -HUGE_VAL;
}

static double log_moment(const struct tilt_sum *sum, double order)
{
    double moment = 0.0;

    for (size_t i = 0; i < sum->n; i++)
        moment += sum->counts[i] * tilt_log_moment(&sum->sketches[i], order);
    return moment;
}

// What is minimised: (K(theta + x) + constant - (theta + x) start) / x, which falls, then rises.
struct bound {
    const struct tilt_sum *sum;
    double constant, theta, start;
};

static double value_at(const struct bound *bound, double x)
{
    double order = bound->theta + x;

    return (log_moment(bound->sum, order) + bound->constant - order * bound->start) / x;
}

// The x where it is least, by golden sections of its logarithm.
static double least(const struct bound *bound)
{
    static const double part = 0.6180339887498949;
    double low = log(1e-12), high = log(1e12);
    double x = high - part * (high - low), y = low + part * (high - low);
    double at_x = value_at(bound, exp(x)), at_y = value_at(bound, exp(y));

    while (high - low > 1e-3) {
        if (at_x <= at_y) {
            high = y;
            y = x;
            at_y = at_x;
            x = high - part * (high - low);
            at_x = value_at(bound, exp(x));
        } else {
            low = x;
            x = y;
            at_x = at_y;
            y = low + part * (high - low);
            at_y = value_at(bound, exp(y));
        }
    }
    return exp(0.5 * (low + high));
}

// About the least x that is as good as the best but for half a percent: where losses are bounded
// the best one may be infinite.
static double modest(const struct bound *bound)
{
    double x = least(bound);
    double best = value_at(bound, x);

    while (x > 1e-12 && value_at(bound, 0.7 * x) <= best + 0.005 * fabs(best))
        x *= 0.7;
    return x;
}

struct tilt tilt_choose(const struct tilt_sum *sum, double log_delta, double factor)
{
    struct bound chernoff = {sum, -log_delta, 0.0, 0.0};
    struct bound folded = {sum, log_spare - log_delta, 0.0, 0.0};
    struct tilt tilt;
    double lowest, more, high;

    tilt.theta = factor * modest(&chernoff);
    tilt.epsilon = value_at(&chernoff, tilt.theta);
    // How far epsilon is below Chernoff's bound: a Gaussian has about theta^2 for the factor.
    lowest = tilt.epsilon - (4.0 + log1p(tilt.theta)) / tilt.theta;
    // A loss l that is folded down to l - width gains a factor e^(theta width). What ends above
    // epsilon adds P(loss > epsilon + width) e^(theta width) to delta.
    folded.theta = tilt.theta;
    folded.start = lowest;
    more = modest(&folded);
    tilt.width = value_at(&folded, more);
    tilt.order = tilt.theta + more;
    high = (log_moment(sum, tilt.order) + log_spare - log_delta) / tilt.order;
    tilt.width = fmax(tilt.width, high - lowest + 8.0 / tilt.theta);
    tilt.width = fmax(tilt.width, (log_spare - log_delta) / tilt.theta); // folded up
    return tilt;
}
