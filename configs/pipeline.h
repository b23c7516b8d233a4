/* pipeline - the typed stages through which a number goes, and what they mean together.
 *
 * Each stage takes one type and gives another; a plan's list must fit together from nothing to
 * MODEL. PLAIN_INTEGERS, which carry no noise, may only be summed under mechanism "none".
 */
#ifndef CHOIR_CONFIGS_PIPELINE_H
#define CHOIR_CONFIGS_PIPELINE_H

#include <stddef.h>

#include "base/err.h"
#include "configs/plan.h"

enum { PIPELINE_STAGES = PLAN_STAGE_SERVER_OPTIMIZER + 1 };

/* The words of the plan format, in the order of enum plan_stage. */
extern const char *const pipeline_words[PIPELINE_STAGES];

/* Fails with CHOIR_ERR_FORMAT when the types do not meet, CHOIR_ERR_REFUSED when the stages and
 * the mechanism contradict each other; diag->place is the key path ("pipeline[2]"). */
CHOIR_MUST_CHECK enum choir_err pipeline_check(const enum plan_stage *stages, size_t n,
                                               enum mechanism_kind mechanism,
                                               struct choir_diag *diag);

#endif
