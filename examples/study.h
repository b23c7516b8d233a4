/* study - a shipped example in memory: its plan and the train and test records of every site.
 *
 * Only a demo can have this: it reads what, in a federation, stays at the sites. sites.json in
 * the example's folder names each site's files (README.md beside this file tells its format).
 */
#ifndef CHOIR_EXAMPLES_STUDY_H
#define CHOIR_EXAMPLES_STUDY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "configs/plan.h"
#include "train/dataset.h"

struct study_site {
    const char *name; // the plan's
    struct dataset *train, *test;
};

struct study {
    struct plan *plan;
    struct study_site *sites; // [plan->n_sites], in the plan's order
    struct dataset *train;    // the sites' training records, one site after the other
    struct dataset *test;     // likewise the test records
};

/* Reads `folder`/sites.json and the data. `plan_name` is a file of the folder or a path that
 * holds a slash; NULL stands for the plan that sites.json names. `data_folder` holds the CSV
 * files; NULL stands for `folder`. On CHOIR_OK *out is the caller's, freed by study_free().
 * Fails as plan_read_file(), json_read_file() and dataset_read() do; diag says where. */
CHOIR_MUST_CHECK enum choir_err study_open(const char *folder, const char *plan_name,
                                           const char *data_folder, struct study **out,
                                           struct choir_diag *diag);

/* NULL is allowed. */
void study_free(struct study *study);

/* The records of `parts` one after the other; all have the same number of features. Fails with
 * CHOIR_ERR_FORMAT (none, or features differ) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err study_join(const struct dataset *const *parts, size_t n_parts,
                                           struct dataset **out);

/* The records of `from` whose number i has fold_of[i] == fold (`in` true) or not (`in` false).
 * Fails with CHOIR_ERR_FORMAT if there are none, or CHOIR_ERR_MEMORY. */
struct study_fold {
    const unsigned *of; // [n] of the data set
    unsigned fold;
    bool in;
};
CHOIR_MUST_CHECK enum choir_err study_pick(const struct dataset *from, struct study_fold fold,
                                           struct dataset **out);

#endif
