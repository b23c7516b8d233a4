/* cohort - what secure aggregation means for a plan at this site, in numbers and in words. */
#ifndef CHOIR_NODE_COHORT_H
#define CHOIR_NODE_COHORT_H

#include <stddef.h>
#include <stdint.h>

#include "configs/plan.h"
#include "configs/site.h"

enum { COHORT_TEXT_MAX = 200 };

/* Numbers only: it travels between the processes of a node. */
struct cohort {
    uint32_t suite;     // plan_suite(); 0: off
    uint32_t n_sites;   // that the plan names
    uint32_t least;     // fewest sites of a sum, if all of them take part
    uint32_t collusion; // sites that may collude with the aggregator, by the roster
};

/* A plan at a site with this policy, in a federation whose roster allows `collusion`. */
struct cohort cohort_of_plan(const struct plan *plan, const struct site_policy *policy,
                             uint32_t collusion);

/* One sentence without a full stop. */
void cohort_text(const struct cohort *cohort, char to[static COHORT_TEXT_MAX]);

#endif
