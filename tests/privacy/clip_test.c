#include "privacy/clip.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_small_gradient_is_left_alone(void **state)
{
    (void)state;
    assert_true(clip_factor(0.0, 1.0) >= 1.0);
    assert_true(clip_factor(0.9, 1.0) >= 1.0 && clip_factor(0.9, 1.0) <= 1.0);
}

static void the_bound_holds_although_the_norm_is_off_by_the_slack(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        double norm = 0.99 * pow(1.01, i);

        assert_true(norm * (1.0 + CLIP_SLACK) * clip_factor(norm, 1.0) <= 1.0);
    }
}

static void a_norm_that_is_no_number_gives_factor_zero(void **state)
{
    (void)state;
    assert_true(clip_factor((double)NAN, 1.0) <= 0.0);
    assert_true(clip_factor(HUGE_VAL, 1.0) <= 0.0);
}

static void a_long_vector_is_cut_to_the_clip_norm(void **state)
{
    float vector[1000];

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        vector[i] = (float)i - 400.3F;
    assert_true(clip_vector(vector, 1000, 2.5));
    assert_true(clip_norm_of(vector, 1000) <= 2.5);
    assert_true(clip_norm_of(vector, 1000) >= 2.5 * (1.0 - 1e-6));
    assert_true(vector[0] < 0.0F && vector[999] > 0.0F);
}

static void a_vector_just_above_the_clip_norm_is_cut_too(void **state)
{
    float vector[2] = {3.0F, 4.0F};

    (void)state;
    assert_true(clip_vector(vector, 2, 4.999));
    assert_true(clip_norm_of(vector, 2) <= 4.999);
}

static void a_short_vector_is_left_alone(void **state)
{
    float vector[2] = {3.0F, 4.0F};

    (void)state;
    assert_true(clip_vector(vector, 2, 5.1));
    assert_true(vector[0] >= 3.0F && vector[0] <= 3.0F && vector[1] >= 4.0F && vector[1] <= 4.0F);
}

static void a_vector_with_nan_or_infinity_is_refused(void **state)
{
    float with_nan[2] = {NAN, 1.0F};
    float with_infinity[2] = {1.0F, -INFINITY};

    (void)state;
    assert_false(clip_vector(with_nan, 2, 1.0));
    assert_false(clip_vector(with_infinity, 2, 1.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_gradient_is_left_alone),
        cmocka_unit_test(the_bound_holds_although_the_norm_is_off_by_the_slack),
        cmocka_unit_test(a_norm_that_is_no_number_gives_factor_zero),
        cmocka_unit_test(a_long_vector_is_cut_to_the_clip_norm),
        cmocka_unit_test(a_vector_just_above_the_clip_norm_is_cut_too),
        cmocka_unit_test(a_short_vector_is_left_alone),
        cmocka_unit_test(a_vector_with_nan_or_infinity_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
