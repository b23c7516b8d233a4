#include "privacy/divergence.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"

static void assert_near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("got %.17g, want %.17g", got, want);
}

static void the_sampled_gaussian_meets_the_vectors(void **state)
{
    FILE *file = vectors_open("rdp_sampled_gaussian.csv");
    struct vector_row row;

    (void)state;
    while (vectors_next(file, &row))
        assert_near(divergence_gaussian(vectors_number(&row, 0), vectors_number(&row, 1),
                                        vectors_number(&row, 2)),
                    vectors_number(&row, 3), 1e-9);
    (void)fclose(file);
}

static void laplace_meets_the_vectors(void **state)
{
    FILE *file = vectors_open("rdp_laplace.csv");
    struct vector_row row;

    (void)state;
    while (vectors_next(file, &row)) // "1(limit)" reads as 1, "inf" as infinity
        assert_near(divergence_laplace(vectors_number(&row, 0), vectors_number(&row, 1)),
                    vectors_number(&row, 2), 1e-9);
    (void)fclose(file);
}

static void an_unsampled_gaussian_has_the_closed_form(void **state)
{
    (void)state;
    assert_near(divergence_gaussian(1.0, 2.0, 10.0), 10.0 / 8.0, 1e-15);
    assert_near(divergence_gaussian(1.0 - 1e-13, 2.0, 9.5), 9.5 / 8.0, 1e-9);
}

static void nobody_sampled_gives_zero(void **state)
{
    (void)state;
    assert_near(divergence_gaussian(0.0, 1.0, 2.5), 0.0, 0.0);
    assert_near(divergence_gaussian(0.0, 1.0, 2.0), 0.0, 0.0);
}

static void quadrature_meets_the_exact_sum_beside_a_whole_order(void **state)
{
    const double noise[] = {0.05, 0.1, 0.3, 1.0, 5.0, 100.0};
    const double rates[] = {1e-6, 1e-3, 0.1, 0.5, 0.99};

    (void)state;
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 5; j++)
            for (int order = 2; order < 12; order += 3)
                assert_near(divergence_gaussian(rates[j], noise[i], nextafter((double)order, 99.0)),
                            divergence_gaussian(rates[j], noise[i], (double)order), 1e-9);
}

static void the_discrete_gaussian_is_never_below_the_gaussian(void **state)
{
    (void)state;
    for (int i = 0; i < 36; i++) {
        double order = 1.1 + 0.3 * i;

        assert_true(divergence_discrete_gaussian(0.05, 0.8, order) >=
                    divergence_gaussian(0.05, 0.8, order) * (1.0 - 1e-12));
    }
}

static void tiny_noise_is_bounded_and_finite(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        double order = 1.01 + 0.37 * i;
        double got = divergence_gaussian(0.01, 1e-3, order);

        assert_true(isfinite(got) && got > 0.0);
        assert_true(got <= order / 2e-6);
    }
}

static void divergence_grows_with_order_and_rate_and_falls_with_noise(void **state)
{
    double before = 0.0;

    (void)state;
    for (int i = 11; i < 200; i++) {
        double order = i / 10.0;
        double got = divergence_gaussian(0.02, 1.1, order);

        assert_true(got >= before);
        assert_true(got <= divergence_gaussian(0.03, 1.1, order));
        assert_true(got >= divergence_gaussian(0.02, 1.2, order));
        before = got;
    }
}

static void pure_dp_stays_below_epsilon_and_above_laplace(void **state)
{
    const double epsilon[] = {1e-4, 0.1, 1.0, 5.0, 100.0};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        for (int k = 0; k < 16; k++) {
            double order = 1.01 * pow(1.7, k);
            double got = divergence_pure(epsilon[i], order);

            assert_true(got > 0.0 && got <= epsilon[i]);
            assert_true(got >= divergence_laplace(1.0 / epsilon[i], order) * (1.0 - 1e-12));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sampled_gaussian_meets_the_vectors),
        cmocka_unit_test(laplace_meets_the_vectors),
        cmocka_unit_test(an_unsampled_gaussian_has_the_closed_form),
        cmocka_unit_test(nobody_sampled_gives_zero),
        cmocka_unit_test(quadrature_meets_the_exact_sum_beside_a_whole_order),
        cmocka_unit_test(the_discrete_gaussian_is_never_below_the_gaussian),
        cmocka_unit_test(tiny_noise_is_bounded_and_finite),
        cmocka_unit_test(divergence_grows_with_order_and_rate_and_falls_with_noise),
        cmocka_unit_test(pure_dp_stays_below_epsilon_and_above_laplace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
