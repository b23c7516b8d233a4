/* summary - what a demo run came to: summary.json and the table of who gained by joining.
 *
 * The numbers about sites are made by one program that reads every site's files, which only a
 * demo can do; the table says so.
 */
#ifndef CHOIR_EXAMPLES_SUMMARY_H
#define CHOIR_EXAMPLES_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "configs/plan.h"

/* An AUC is NaN where the test records have one class; an epsilon is infinite without privacy. */
struct summary_site {
    const char *name; // the plan's
    size_t n_test;
    double auc_local, auc_federated;
    double epsilon, epsilon_reserved, epsilon_budget, delta;
};

/* What the aggregator saw of a run with secure aggregation on. */
struct summary_masks {
    char suite[32];
    uint64_t sums;                    // opened: one a round
    uint64_t least_sites, most_sites; // of the smallest and the largest sum
    uint64_t may_be_lost;             // sites that every round could have lost
    uint64_t may_collude;             // with the aggregator, as the roster says
};

struct summary {
    const struct plan *plan;
    struct summary_site *sites; // [plan->n_sites], in the plan's order
    size_t n_test;              // of all sites
    double auc_federated, auc_pooled;
    double accuracy_federated, accuracy_pooled;
    // As the run reported them:
    double seconds;
    uint64_t bytes_up, bytes_down, rounds;
    bool secure_aggregation;
    struct summary_masks masks; // where secure_aggregation is true
};

/* Reads run.json (README.md) into the run's fields and the epsilons of the sites, whose names
 * are set. Fails as json_read_file() does, CHOIR_ERR_MISSING for a site without an entry. */
CHOIR_MUST_CHECK enum choir_err summary_read_run(struct summary *summary, const char *path,
                                                 struct choir_diag *diag);

/* The text of summary.json; *text is the caller's (free). Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err summary_json(const struct summary *summary, char **text,
                                             size_t *len);

/* The table for people. */
void summary_print(const struct summary *summary, FILE *out);

#endif
