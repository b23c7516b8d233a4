#include "node/cohort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/mask.h"

static struct plan plan = {.n_sites = 7,
                           .secure_aggregation = PLAN_ON,
                           .mask_suite = PLAN_CHACHA20,
                           .quorum = {.min_sites = 2}};
static const struct site_policy policy = {.minimum_cohort = 2};

static void the_words_name_suite_least_lost_and_colluding_sites(void **state)
{
    struct cohort cohort = cohort_of_plan(&plan, &policy, 2);
    char text[COHORT_TEXT_MAX];

    (void)state;
    assert_int_equal(cohort.suite, MASK_CHACHA20);
    assert_int_equal(cohort.least, 5); // T of 7 sites, two of which may collude, and 2 + 3
    cohort_text(&cohort, text);
    assert_non_null(strstr(text, "on (chacha20)"));
    assert_non_null(strstr(text, "at least 5 of 7 sites, 2 may be lost"));
    assert_non_null(strstr(text, "2 may collude"));
}

static void what_a_site_or_plan_asks_for_counts(void **state)
{
    const struct site_policy careful = {.minimum_cohort = 6};
    struct cohort cohort = cohort_of_plan(&plan, &careful, 2);

    (void)state;
    assert_int_equal(cohort.least, 6);
}

static void a_plan_that_no_round_can_be_opened_for_says_so(void **state)
{
    struct cohort cohort = cohort_of_plan(&plan, &policy, 5);
    char text[COHORT_TEXT_MAX];

    (void)state;
    cohort_text(&cohort, text);
    assert_int_equal(cohort.least, 8);
    assert_non_null(strstr(text, "no round can be opened"));
}

static void masks_that_are_off_are_named(void **state)
{
    struct plan plain = plan;
    struct cohort cohort;
    char text[COHORT_TEXT_MAX];

    (void)state;
    plain.secure_aggregation = PLAN_OFF;
    cohort = cohort_of_plan(&plain, &policy, 0);
    cohort_text(&cohort, text);
    assert_int_equal(cohort.suite, 0);
    assert_non_null(strstr(text, "secure aggregation off: the aggregator sees"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_name_suite_least_lost_and_colluding_sites),
        cmocka_unit_test(what_a_site_or_plan_asks_for_counts),
        cmocka_unit_test(a_plan_that_no_round_can_be_opened_for_says_so),
        cmocka_unit_test(masks_that_are_off_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
