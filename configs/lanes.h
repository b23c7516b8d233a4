/* lanes - how wide the integers of a plan's updates are, so that no sum of them can wrap.
 *
 * A sum of integers mod 2^b is right only while it stays within half the ring, masked or not.
 * The bound is the plan's: after noise, a site cuts its whole update to update.clip_norm, so no
 * value is larger and the tails of the noise end there; that is done to what is noised already
 * and costs no privacy. All sites together then stay below half the ring by privacy/quantize,
 * which gives the rest of the bits to the fraction.
 */
#ifndef CHOIR_CONFIGS_LANES_H
#define CHOIR_CONFIGS_LANES_H

#include "base/err.h"
#include "configs/plan.h"

/* Sets plan->update.frac_bits, and lane_bits where the plan leaves them open: 16 if then at
 * least QUANTIZE_MIN_FRAC_BITS are left behind the point and rounding adds at most one hundredth
 * to the variance of the noise that the update holds anyway, else 32. By exact arithmetic only,
 * so that everybody chooses the same. Needs the plan's sites, model, training and privacy, read
 * and checked. Fails with CHOIR_ERR_REFUSED (a sum could wrap, or would be too coarse) or
 * CHOIR_ERR_FORMAT; diag->place is a key path. */
CHOIR_MUST_CHECK enum choir_err lanes_choose(struct plan *plan, struct choir_diag *diag);

/* The largest sum over all sites as a share of half the ring, (0, 1). */
double lanes_fill(const struct plan *plan);

/* About how long the noise in a whole update of site number `site` is, in the units of
 * update.clip_norm; 0 where the plan has none, or an optimiser that gives no simple number. */
double lanes_noise_norm(const struct plan *plan, size_t site);

#endif
