#include "privacy/grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// Randomised response of epsilon 1/4, `rounds` times: the exact delta at epsilon.
static double exact_delta(int rounds, double epsilon)
{
    double yes = 1.0 / (1.0 + exp(-0.25)), p = pow(1.0 - yes, rounds), sum = 0.0;

    for (int k = 0; k <= rounds; k++) {
        double loss = 0.25 * (2 * k - rounds);

        sum += loss > epsilon ? p * -expm1(epsilon - loss) : 0.0;
        p *= (double)(rounds - k) / (k + 1.0) * yes / (1.0 - yes);
    }
    return sum;
}

static void put_response(struct grid *grid)
{
    double yes = 1.0 / (1.0 + exp(-0.25));
    int64_t at = (int64_t)nearbyint(0.25 / grid->h);

    grid_clear(grid);
    grid_put(grid, at, yes * exp(grid->theta * 0.25));
    grid_put(grid, -at, (1.0 - yes) * exp(-grid->theta * 0.25));
}

static void randomised_responses_compose_to_a_binomial(void **state)
{
    const double epsilons[] = {0.1, 1.0, 3.0, 4.9};
    struct grid grid;
    double found;

    (void)state;
    assert_int_equal(grid_init(&grid, 1 << 10, 0.25 / 16.0, 2.0), CHOIR_OK);
    put_response(&grid);
    (void)grid_compose(&grid, 15, 0.0);
    put_response(&grid);
    (void)grid_compose(&grid, 5, 0.0);
    grid_close(&grid, -512);
    for (size_t i = 0; i < sizeof epsilons / sizeof epsilons[0]; i++) {
        assert_true(grid_epsilon(&grid, log(exact_delta(20, epsilons[i])), &found));
        assert_true(fabs(found - epsilons[i]) < 1e-9);
    }
    assert_false(grid_epsilon(&grid, log(0.9999), &found)); // delta(-8) is less
    grid_release(&grid);
}

static void a_coarser_grid_keeps_what_is_on_its_points(void **state)
{
    struct grid fine, coarse;
    double a, b = 0.0;

    (void)state;
    assert_int_equal(grid_init(&fine, 1 << 10, 0.25 / 16.0, 2.0), CHOIR_OK);
    assert_int_equal(grid_init(&coarse, 1 << 9, 0.25 / 8.0, 2.0), CHOIR_OK);
    put_response(&fine);
    grid_coarsen(&fine, &coarse);
    (void)grid_compose(&fine, 20, 0.0);
    (void)grid_compose(&coarse, 20, 0.0);
    grid_close(&fine, -512);
    grid_close(&coarse, -256);
    assert_true(grid_epsilon(&fine, log(1e-3), &a) && grid_epsilon(&coarse, log(1e-3), &b));
    assert_true(fabs(a - b) < 1e-9);
    grid_release(&fine);
    grid_release(&coarse);
}

static void a_point_between_coarse_points_makes_the_bound_larger(void **state)
{
    struct grid fine, coarse;
    double a, b = 0.0;

    (void)state;
    assert_int_equal(grid_init(&fine, 1 << 10, 0.25 / 17.0, 2.0), CHOIR_OK);
    assert_int_equal(grid_init(&coarse, 1 << 9, 0.25 / 8.5, 2.0), CHOIR_OK);
    put_response(&fine);
    grid_coarsen(&fine, &coarse);
    assert_true(fabs(grid_compose(&fine, 20, 0.0)) < grid_compose(&coarse, 20, 0.0));
    grid_close(&fine, -512);
    grid_close(&coarse, -256);
    assert_true(grid_epsilon(&fine, log(1e-3), &a) && grid_epsilon(&coarse, log(1e-3), &b));
    assert_true(b > a + 1e-6 && b < a + 0.01);
    grid_release(&fine);
    grid_release(&coarse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(randomised_responses_compose_to_a_binomial),
        cmocka_unit_test(a_coarser_grid_keeps_what_is_on_its_points),
        cmocka_unit_test(a_point_between_coarse_points_makes_the_bound_larger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
