/* gaussian - the exact privacy curve of one Gaussian release (Balle, Wang 2018).
 *
 * With mu = sensitivity / standard deviation:
 * delta(eps) = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu). All in log space, so that
 * relative accuracy holds at any delta.
 */
#ifndef CHOIR_PRIVACY_GAUSSIAN_H
#define CHOIR_PRIVACY_GAUSSIAN_H

#include "base/err.h"

/* ln delta of a Gaussian of that noise multiplier at epsilon >= 0. */
double gaussian_log_delta(double noise_multiplier, double epsilon);

/* delta, in [0, 1]. */
double gaussian_delta(double noise_multiplier, double epsilon);

/* The smallest noise multiplier that gives (epsilon, delta), rounded up by less than 1e-9.
 * Fails with CHOIR_ERR_FORMAT unless 0 <= epsilon is finite and 0 < delta < 1. */
CHOIR_MUST_CHECK enum choir_err gaussian_noise_multiplier(double epsilon, double delta,
                                                          double *noise_multiplier);

#endif
