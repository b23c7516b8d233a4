/* baseline - the plan's model trained without privacy on records that lie in one place.
 *
 * What a site could do alone, and what all could do if they pooled their records: the two ends
 * between which a federation is judged. Full-batch Adam until it moves no more, with a ridge of
 * BASELINE_RIDGE on the summed loss, the same for every data set.
 */
#ifndef CHOIR_EXAMPLES_BASELINE_H
#define CHOIR_EXAMPLES_BASELINE_H

#include "base/err.h"
#include "configs/plan.h"
#include "train/dataset.h"

enum { BASELINE_STEPS = 2000, BASELINE_RIDGE = 2 };

/* Trains on all of `dataset` and writes params [plan->n_params]. The same records give the same
 * parameters. Fails as trainer_run_round() does, or with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err baseline_train(const struct plan *plan,
                                               const struct dataset *dataset, float *params);

#endif
