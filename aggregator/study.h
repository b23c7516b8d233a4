/* study - the plan that runs: checked, matched with the roster, and its global model.
 *
 * Plain data after study_open(), but for the model inside. One study belongs to one thread.
 */
#ifndef CHOIR_AGGREGATOR_STUDY_H
#define CHOIR_AGGREGATOR_STUDY_H

#include <stddef.h>
#include <stdint.h>

#include "aggregator/global.h"
#include "base/err.h"
#include "configs/plan.h"
#include "round/gather.h"
#include "wire/roster.h"

struct study {
    struct plan *plan;
    uint8_t *bytes; // of the plan, as the operator signed them
    size_t len;
    uint8_t signature[SIGN_BYTES];
    uint32_t site_id[PLAN_MAX_SITES]; // roster id of plan->sites[i]
    struct global *global;
};

/* Reads and checks the plan, the operator's signature and that every site of the plan is on the
 * roster; model files go into `models`. On CHOIR_OK *out is to be freed with study_close().
 * Fails with CHOIR_ERR_FORMAT, CHOIR_ERR_FORGED (not signed by the operator of the roster),
 * CHOIR_ERR_REFUSED, CHOIR_ERR_MISSING (a site is not on the roster), CHOIR_ERR_IO or
 * CHOIR_ERR_MEMORY; diag says what to do. */
CHOIR_MUST_CHECK enum choir_err study_open(const struct roster *roster, const char *models,
                                           const uint8_t *bytes, size_t len,
                                           const uint8_t signature[static SIGN_BYTES],
                                           struct study **out, struct choir_diag *diag);
void study_close(struct study *study);

/* Sum of the public weights of these sites. */
double study_weight(const struct study *study, const struct site_set *sites);

/* What the state machine has to know; run->plan is borrowed from the study. */
void study_run(const struct study *study, const uint8_t run_id[static MESSAGE_RUN_BYTES],
               struct gather_run *run);

#endif
