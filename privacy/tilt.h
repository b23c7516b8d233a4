/* tilt - where on the axis of losses a composition is looked at, and how it is weighted.
 *
 * At small delta the losses that decide are far from the likely ones. Weighting every loss l by
 * e^(theta l) (Esscher's tilt) moves the bulk there, so that rounding errors of a Fourier
 * transform become relative to what matters. theta is Chernoff's: it minimises the bound
 * epsilon <= (K(theta) - ln delta) / theta, K the logarithm of the sum's moments.
 */
#ifndef CHOIR_PRIVACY_TILT_H
#define CHOIR_PRIVACY_TILT_H

#include <stddef.h>

#include "privacy/loss.h"

/* n different losses and how often each of them is composed. */
struct tilt_sum {
    size_t n;
    const struct loss_sketch *sketches;
    const double *counts;
};

struct tilt {
    double theta;
    double epsilon; // Chernoff's, at theta
    double order;   // above theta: for Chernoff's bound on what is above the window
    double width;   // of a window that reaches below epsilon, such that what is folded into it
                    // weighs less than 1e-9 delta where it matters
};

/* ln of the mean of e^(order l). */
double tilt_log_moment(const struct loss_sketch *sketch, double order);

/* Chooses for delta = e^log_delta; theta is `factor` times Chernoff's. */
struct tilt tilt_choose(const struct tilt_sum *sum, double log_delta, double factor);

#endif
