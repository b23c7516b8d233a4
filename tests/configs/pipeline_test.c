#include "configs/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct choir_diag diag;

static const enum plan_stage noised[] = {PLAN_STAGE_READ, PLAN_STAGE_UNIT_GRADIENTS,
                                         PLAN_STAGE_DP_SGD, PLAN_STAGE_SUM,
                                         PLAN_STAGE_SERVER_OPTIMIZER};
static const enum plan_stage plain[] = {PLAN_STAGE_READ, PLAN_STAGE_UNIT_GRADIENTS, PLAN_STAGE_SGD,
                                        PLAN_STAGE_SUM, PLAN_STAGE_SERVER_OPTIMIZER};

static void stages_that_fit_their_mechanism_are_accepted(void **state)
{
    (void)state;
    assert_int_equal(pipeline_check(noised, 5, MECHANISM_DP_SGD, &diag), CHOIR_OK);
    assert_int_equal(pipeline_check(plain, 5, MECHANISM_NONE, &diag), CHOIR_OK);
}

static void stages_of_another_mechanism_are_refused(void **state)
{
    (void)state;
    assert_int_equal(pipeline_check(plain, 5, MECHANISM_DP_SGD, &diag), CHOIR_ERR_REFUSED);
    assert_string_equal(diag.place, "pipeline[2]");
    assert_non_null(strstr(diag.message, "PLAIN_INTEGERS"));
    assert_int_equal(pipeline_check(noised, 5, MECHANISM_NONE, &diag), CHOIR_ERR_REFUSED);
}

static void a_pipeline_cut_at_any_stage_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < 5; n++)
        assert_int_equal(pipeline_check(noised, n, MECHANISM_DP_SGD, &diag), CHOIR_ERR_FORMAT);
}

static void no_other_order_of_five_stages_is_accepted(void **state)
{
    size_t n_accepted = 0;

    (void)state;
    for (size_t code = 0; code < 6UL * 6 * 6 * 6 * 6; code++) {
        enum plan_stage stages[5];
        size_t left = code;

        for (size_t i = 0; i < 5; i++, left /= 6)
            stages[i] = (enum plan_stage)(left % 6);
        n_accepted += pipeline_check(stages, 5, MECHANISM_DP_SGD, NULL) == CHOIR_OK;
        n_accepted += pipeline_check(stages, 5, MECHANISM_NONE, NULL) == CHOIR_OK;
    }
    assert_int_equal(n_accepted, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_that_fit_their_mechanism_are_accepted),
        cmocka_unit_test(stages_of_another_mechanism_are_refused),
        cmocka_unit_test(a_pipeline_cut_at_any_stage_is_refused),
        cmocka_unit_test(no_other_order_of_five_stages_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
