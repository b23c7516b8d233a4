#include "privacy/tilt.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// Losses of a Gaussian with noise multiplier s are normal with mean 1/(2 s^2), variance 1/s^2.
static void a_gaussian_has_the_moments_and_the_tilt_of_the_formula(void **state)
{
    static struct loss_sketch sketch;
    struct loss loss = {.shape = LOSS_NORMAL, .rate = 1.0, .ratio = 0.5};
    const double counts[] = {16.0};
    struct tilt_sum sum = {1, &sketch, counts};
    double log_delta = log(1e-9);
    double theta = sqrt(-log_delta * 2.0 / 4.0); // variance of the sum is 16 / 4
    struct tilt tilt;

    (void)state;
    loss_draw(&loss, LOSS_REMOVE, 1e-30, &sketch);
    for (int i = 1; i < 12; i++) {
        double order = 0.5 * i;
        double moment = 0.125 * order * (order + 1.0);

        assert_true(fabs(tilt_log_moment(&sketch, order) / moment - 1.0) < 1e-3);
    }
    tilt = tilt_choose(&sum, log_delta, 1.0);
    assert_true(tilt.theta > 0.7 * theta && tilt.theta < 1.01 * theta);
    assert_true(fabs(tilt.epsilon / (2.0 + 2.0 * theta - log_delta / theta) - 1.0) < 0.01);
    assert_true(tilt.order > tilt.theta);
    assert_true(exp(-tilt.theta * tilt.width) <= 1e-9 * exp(log_delta) * 1.1);
    tilt = tilt_choose(&sum, log_delta, 0.5);
    assert_true(tilt.theta < 0.51 * theta);
}

// The best order of a bounded loss is infinite; a tilt that large would be of no use.
static void a_bounded_loss_has_a_finite_tilt(void **state)
{
    static struct loss_sketch sketch;
    struct loss loss = {.shape = LOSS_LAPLACE, .rate = 1.0, .ratio = 1.0};
    const double counts[] = {1.0};
    struct tilt_sum sum = {1, &sketch, counts};
    struct tilt tilt;

    (void)state;
    loss_draw(&loss, LOSS_REMOVE, 1e-30, &sketch);
    tilt = tilt_choose(&sum, log(1e-6), 1.0);
    assert_true(tilt.theta < 1e4);
    assert_true(tilt.epsilon >= 1.0 && tilt.epsilon < 1.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gaussian_has_the_moments_and_the_tilt_of_the_formula),
        cmocka_unit_test(a_bounded_loss_has_a_finite_tilt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
