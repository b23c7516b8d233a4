/* calibrate - which noise, or how many steps, a budget allows, by the RDP accountant. */
#ifndef CHOIR_PRIVACY_CALIBRATE_H
#define CHOIR_PRIVACY_CALIBRATE_H

#include <stdint.h>

#include "base/err.h"
#include "privacy/event.h"
#include "privacy/rdp.h"

/* The smallest noise multiplier (rounded up by at most 1e-6) with which `steps` steps of the
 * Gaussian, Poisson-sampled at `rate`, cost at most `epsilon` at `delta`.
 * Fails with CHOIR_ERR_FORMAT on values out of range, CHOIR_ERR_REFUSED if even a noise
 * multiplier of 1e5 is too small. */
CHOIR_MUST_CHECK enum choir_err calibrate_noise(double epsilon, double delta, double rate,
                                                uint64_t steps, double *noise_multiplier);

/* How many more times the whole of `event` (its count included) fits: the largest n, at most
 * `most`, such that `spent` and n of them stay within epsilon at delta. Fails as
 * rdp_curve_add() and rdp_curve_epsilon() do. */
CHOIR_MUST_CHECK enum choir_err calibrate_repeats(const struct rdp_curve *spent,
                                                  const struct privacy_event *event, double epsilon,
                                                  double delta, uint64_t most, uint64_t *repeats);

#endif
