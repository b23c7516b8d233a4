#include "configs/lanes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/configs/sample.h"

static const char stated[] = "\"clip_norm\": 10, \"lane_bits\": 32";
static const char adam[] = "{\"kind\": \"adam\", \"learning_rate\": 0.5, \"beta1\": 0.8}";
static struct plan *plan;
static struct choir_diag diag;

static int release(void **state)
{
    (void)state;
    plan_free(plan);
    plan = NULL;
    return 0;
}

// The sample with another optimiser and `update` for what it says of its integers.
static enum choir_err read_with(const char *optimizer, const char *update)
{
    char *changed = sample_change(sample_plan, adam, optimizer);
    char *text = sample_change(changed, stated, update);
    enum choir_err err = plan_read((const uint8_t *)text, strlen(text), "plan.json", &plan, &diag);

    free(changed);
    free(text);
    return err;
}

static void sixteen_bits_are_taken_where_the_noise_hides_the_rounding(void **state)
{
    (void)state;
    // Noise of one step 0.5 * 1.25 * 1.5 / (0.05 * 1800) = 0.0104, steps of 2^-13 rounded
    assert_int_equal(read_with("{\"kind\": \"sgd\", \"learning_rate\": 0.5}", "\"clip_norm\": 1"),
                     CHOIR_OK);
    assert_false(plan->update.has_lane_bits);
    assert_int_equal(plan->update.lane_bits, 16);
    assert_int_equal(plan->update.frac_bits, 13);
    assert_int_equal(plan_layout(plan).lane_bits, 16);
}

static void thirty_two_bits_are_taken_where_rounding_would_be_felt(void **state)
{
    (void)state;
    // 2^-6 / sqrt(12) = 0.0045 is more than a tenth of 0.0104
    assert_int_equal(read_with("{\"kind\": \"sgd\", \"learning_rate\": 0.5}", "\"clip_norm\": 100"),
                     CHOIR_OK);
    assert_int_equal(plan->update.lane_bits, 32);
    release(NULL);
    assert_int_equal(read_with(adam, "\"clip_norm\": 1"), CHOIR_OK);
    assert_int_equal(plan->update.lane_bits, 32);
}

static void stated_bits_are_kept(void **state)
{
    (void)state;
    assert_int_equal(read_with(adam, "\"clip_norm\": 1, \"lane_bits\": 16"), CHOIR_OK);
    assert_true(plan->update.has_lane_bits);
    assert_int_equal(plan->update.lane_bits, 16);
}

static void what_fits_neither_is_refused_with_numbers(void **state)
{
    (void)state;
    // 3 * ceil(5e7 * 2^4) passes 2^31; clip_norm itself ends at 1e6, so it takes 16 bits stated
    assert_int_equal(read_with(adam, "\"clip_norm\": 1e6, \"lane_bits\": 16"), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "3 sites with updates of norm up to 1e+06 leave fewer "
                                         "than 4 bits behind the point in 16 bits"));
    assert_int_equal(read_with(adam, "\"clip_norm\": 1e6"), CHOIR_OK);
    assert_int_equal(plan->update.lane_bits, 32);
}

static void the_largest_sum_stays_within_half_the_ring(void **state)
{
    double fill;

    (void)state;
    for (int step = -10; step <= 20; step++) { // 0.001 to 1e6
        double clip = exp2(step);
        char update[64];

        snprintf(update, sizeof update, "\"clip_norm\": %.9g", fmin(clip, 1e6));
        assert_int_equal(read_with(adam, update), CHOIR_OK);
        fill = lanes_fill(plan);
        // One more bit behind the point would have passed it, or there are 40 already
        assert_true(fill > 0.0 && fill < 1.0);
        assert_true(fill >= 0.49 || plan->update.frac_bits == QUANTIZE_MAX_FRAC_BITS);
        release(NULL);
    }
}

static void the_length_of_the_noise_is_known_for_plain_steps(void **state)
{
    double expected = 0.5 * 1.25 * 1.5 / (0.05 * 900) * sqrt(20.0 * 29.0);

    (void)state;
    assert_int_equal(read_with("{\"kind\": \"sgd\", \"learning_rate\": 0.5}", stated), CHOIR_OK);
    assert_true(fabs(lanes_noise_norm(plan, 1) - expected) < 1e-12);
    release(NULL);
    assert_int_equal(read_with(adam, stated), CHOIR_OK);
    assert_true(lanes_noise_norm(plan, 1) <= 0.0);
}

#define TEST(f) cmocka_unit_test_teardown(f, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sixteen_bits_are_taken_where_the_noise_hides_the_rounding),
        TEST(thirty_two_bits_are_taken_where_rounding_would_be_felt),
        TEST(stated_bits_are_kept),
        TEST(what_fits_neither_is_refused_with_numbers),
        TEST(the_largest_sum_stays_within_half_the_ring),
        TEST(the_length_of_the_noise_is_known_for_plain_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
