#include "privacy/noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SAMPLES = 1000000, CELLS = 40 };

static const uint8_t seed[RNG_SEED_BYTES] = {7};

static int open_stream(void **state)
{
    struct rng *rng = NULL;

    if (rng_start() != CHOIR_OK || rng_open_seeded("noise", seed, &rng) != CHOIR_OK)
        return -1;
    *state = rng;
    return 0;
}

static int close_stream(void **state)
{
    rng_close(*state);
    return 0;
}

static void the_grid_is_the_stated_power_of_two(void **state)
{
    (void)state;
    assert_int_equal(noise_grid_exponent(1.0, 4096), -16);
    assert_int_equal(noise_grid_exponent(1.0, 1), -16);
    assert_int_equal(noise_grid_exponent(1.0, 1 << 20), -20);
    assert_int_equal(noise_grid_exponent(0.99, 4096), -17);
    assert_int_equal(noise_grid_exponent(3.0, 4096), -15);
}

static void what_comes_out_lies_on_the_grid(void **state)
{
    double sum[1001];

    for (size_t i = 0; i < 1001; i++)
        sum[i] = sin((double)i) * 3.7;
    assert_int_equal(noise_release(sum, 1001, 1.0, 1.0, -16, *state), CHOIR_OK);
    for (size_t i = 0; i < 1001; i++) {
        double units = ldexp(sum[i], 16);

        assert_true(fabs(units - rint(units)) <= 0.0);
    }
}

// The same stream added to two sums: the difference is that of the rounded sums, exactly, so
// what is released depends on the sum through exact integer addition alone.
static void the_noise_does_not_depend_on_the_sum(void **state)
{
    struct rng *other = NULL;
    double zero[777] = {0};
    double sum[777];

    for (size_t i = 0; i < 777; i++)
        sum[i] = ldexp((double)i * 1e7 - 3e9, -16); // on the grid
    assert_int_equal(rng_open_seeded("noise", seed, &other), CHOIR_OK);
    assert_int_equal(noise_release(zero, 777, 1.0, 1.3, -16, other), CHOIR_OK);
    assert_int_equal(noise_release(sum, 777, 1.0, 1.3, -16, *state), CHOIR_OK);
    for (size_t i = 0; i < 777; i++)
        assert_true(fabs(sum[i] - zero[i] - ldexp((double)i * 1e7 - 3e9, -16)) <= 0.0);
    rng_close(other);
}

// A fixed seed; for a seed drawn at random each bound below fails with probability < 1e-7.
static void moments_and_cells_are_those_of_the_gaussian(void **state)
{
    double *sum = calloc(SAMPLES, sizeof *sum);
    double cells[CELLS] = {0};
    double powers[5] = {0};
    double chi_square = 0.0;

    assert_non_null(sum);
    assert_int_equal(
        noise_release(sum, SAMPLES, 0.5, 2.5, noise_grid_exponent(0.5, SAMPLES), *state), CHOIR_OK);
    for (size_t i = 0; i < SAMPLES; i++) {
        double x = sum[i] / 1.25;
        double cell = floor(0.5 * erfc(-x * M_SQRT1_2) * CELLS);

        cells[cell < CELLS ? (size_t)cell : CELLS - 1] += 1.0;
        for (int k = 1; k <= 4; k++)
            powers[k] += pow(x, k) / SAMPLES;
    }
    free(sum);
    assert_true(fabs(powers[1]) < 5.5e-3);
    assert_true(fabs(powers[2] - 1.0) < 5.5e-3 * sqrt(2.0));
    assert_true(fabs(powers[3]) < 5.5e-3 * sqrt(15.0));
    assert_true(fabs(powers[4] - 3.0) < 5.5e-3 * sqrt(96.0)); // the kurtosis
    for (size_t i = 0; i < CELLS; i++)
        chi_square += pow(cells[i] - SAMPLES / (double)CELLS, 2.0) / (SAMPLES / (double)CELLS);
    assert_true(chi_square < 110.0); // 39 degrees of freedom: P < 2e-8
    assert_true(chi_square > 8.0);   // too good to be random: P < 1e-8
}

static void a_sum_that_is_no_number_is_wiped_and_refused(void **state)
{
    const double bad[] = {(double)NAN, HUGE_VAL, -1e300};

    for (size_t k = 0; k < 3; k++) {
        double sum[3] = {1.0, bad[k], 2.0};

        assert_int_equal(noise_release(sum, 3, 1.0, 1.0, -16, *state), CHOIR_ERR_FORMAT);
        assert_true(fabs(sum[0]) + fabs(sum[1]) + fabs(sum[2]) <= 0.0);
    }
}

static void a_grid_too_coarse_for_the_noise_is_refused(void **state)
{
    double sum[3] = {1.0, 2.0, 3.0};

    assert_int_equal(noise_release(sum, 3, 1.0, 1.0, -11, *state), CHOIR_ERR_FORMAT);
    assert_true(noise_delta_slack(1.0, 0.01, 1.0, 100, 10) >= 1.0);
}

static void the_effective_multiplier_is_a_little_smaller(void **state)
{
    double effective = noise_effective_multiplier(1.2, 1.0, 1000, 200);

    (void)state;
    // 200 rows: 2 * 200 * 68 * 2^-24 = 0.00162; grid: 2^-16 sqrt(1000) = 0.00048.
    assert_true(fabs(1.2 / effective - 1.002104) < 1e-6);
    assert_true(noise_effective_multiplier(1.2, 1.0, 1000, 400) < effective);
}

static void the_slack_is_small_for_the_shipped_plans_and_grows_as_stated(void **state)
{
    double slack = noise_delta_slack(3.0, 1.0, 1.0, 300, 600);

    (void)state;
    assert_true(slack > 0.0 && slack < 1e-7);
    assert_true(noise_delta_slack(3.0, 1.0, 1.0, 300, 2400) <= 2.000001 * slack);
    assert_true(noise_delta_slack(3.0, 1.0, 1.0, 300, 2400) >= 1.999999 * slack);
    assert_true(noise_delta_slack(3.0, 1.0, 1.0, 300, 0) <= 0.0);
    assert_true(noise_delta_slack(HUGE_VAL, 1.0, 1.0, 300, 1) >= 1.0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_stream, close_stream)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_grid_is_the_stated_power_of_two),
        TEST(what_comes_out_lies_on_the_grid),
        TEST(the_noise_does_not_depend_on_the_sum),
        TEST(moments_and_cells_are_those_of_the_gaussian),
        TEST(a_sum_that_is_no_number_is_wiped_and_refused),
        TEST(a_grid_too_coarse_for_the_noise_is_refused),
        TEST(the_effective_multiplier_is_a_little_smaller),
        TEST(the_slack_is_small_for_the_shipped_plans_and_grows_as_stated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
