#include "examples/baseline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/rng.h"
#include "examples/study.h"
#include "train/evaluate.h"

static double auc_of(const struct study *study, const struct dataset *train,
                     const struct dataset *test)
{
    struct evaluation reached = {0};
    float *params = calloc(study->plan->n_params, sizeof *params);

    assert_non_null(params);
    assert_int_equal(baseline_train(study->plan, train, params), CHOIR_OK);
    assert_int_equal(evaluate_model(&study->plan->model, params, test, &reached), CHOIR_OK);
    free(params);
    return reached.auc;
}

/* Expected AUCs: ridge regression by Newton's method in another program. */
static void the_new_bank_is_weak_alone_and_the_pool_is_not(void **state)
{
    const char *root = getenv("CHOIR_EXAMPLES"); // NOLINT(concurrency-mt-unsafe)
    char folder[4096];
    struct study *study = NULL;

    (void)state;
    assert_int_equal(rng_start(), CHOIR_OK);
    (void)snprintf(folder, sizeof folder, "%s/banks", root != NULL ? root : "examples");
    assert_int_equal(study_open(folder, NULL, NULL, &study, NULL), CHOIR_OK);
    assert_string_equal(study->sites[4].name, "bank-e");
    assert_float_equal(auc_of(study, study->sites[4].train, study->sites[4].test), 0.543, 0.01);
    assert_float_equal(auc_of(study, study->train, study->sites[4].test), 0.829, 0.01);
    assert_float_equal(auc_of(study, study->train, study->test), 0.772, 0.005);
    study_free(study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_bank_is_weak_alone_and_the_pool_is_not),
    };

    return cmocka_run_group_tests_name("baseline", tests, NULL, NULL);
}
