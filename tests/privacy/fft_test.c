#include "privacy/fft.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define LARGEST ((size_t)1 << 20)

// A fixed row of numbers in [-1, 1).
static double sample(size_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (double)(x >> 11) * 0x1p-52 - 1.0;
}

static void fill(double *re, double *im, size_t n)
{
    for (size_t j = 0; j < n / 2; j++) {
        re[j] = sample(2 * j);
        im[j] = sample(2 * j + 1);
    }
}

static void naive(size_t n, size_t k, double *re, double *im)
{
    *re = 0.0;
    *im = 0.0;
    for (size_t j = 0; j < n; j++) {
        double angle = -2.0 * M_PI * (double)(j * k % n) / (double)n;

        *re += sample(j) * cos(angle);
        *im += sample(j) * sin(angle);
    }
}

static void the_spectrum_is_that_of_the_sum(void **state)
{
    double *re = calloc(LARGEST / 2, sizeof *re), *im = calloc(LARGEST / 2, sizeof *im);

    (void)state;
    assert_non_null(re);
    assert_non_null(im);
    for (size_t n = FFT_MIN; n <= LARGEST; n *= 2) {
        struct fft *fft = NULL;
        double tolerance = 1e-15 * sqrt((double)n) * log2((double)n);
        size_t step = n <= 256 ? 1 : n / 10 + 1;
        double r, i;

        assert_int_equal(fft_new(n, &fft), CHOIR_OK);
        fill(re, im, n);
        fft_forward(fft, re, im);
        naive(n, 0, &r, &i);
        assert_true(fabs(re[0] - r) < tolerance);
        naive(n, n / 2, &r, &i);
        assert_true(fabs(im[0] - r) < 4.0 * tolerance);
        for (size_t p = 1; p < n / 2; p += step) {
            naive(n, fft_frequency(fft, p), &r, &i);
            assert_true(fabs(re[p] - r) < 4.0 * tolerance && fabs(im[p] - i) < 4.0 * tolerance);
        }
        fft_free(fft);
    }
    free(re);
    free(im);
}

static void there_and_back_is_where_it_was(void **state)
{
    double *re = calloc(LARGEST / 2, sizeof *re), *im = calloc(LARGEST / 2, sizeof *im);

    (void)state;
    assert_non_null(re);
    assert_non_null(im);
    for (size_t n = FFT_MIN; n <= LARGEST; n *= 2) {
        struct fft *fft = NULL;
        double worst = 0.0;

        assert_int_equal(fft_new(n, &fft), CHOIR_OK);
        fill(re, im, n);
        fft_forward(fft, re, im);
        fft_inverse(fft, re, im);
        for (size_t j = 0; j < n / 2; j++)
            worst = fmax(worst, fmax(fabs(re[j] - sample(2 * j)), fabs(im[j] - sample(2 * j + 1))));
        assert_true(worst < 4e-15);
        fft_free(fft);
    }
    free(re);
    free(im);
}

static void every_frequency_has_one_place(void **state)
{
    enum { N = 1 << 10 };
    struct fft *fft = NULL;
    size_t seen[N / 2] = {0};

    (void)state;
    assert_int_equal(fft_new(N, &fft), CHOIR_OK);
    for (size_t p = 0; p < N / 2; p++)
        seen[fft_frequency(fft, p)]++;
    for (size_t k = 0; k < N / 2; k++)
        assert_int_equal(seen[k], 1);
    fft_free(fft);
}

static void other_sizes_are_an_error(void **state)
{
    const size_t bad[] = {0, 1, 4, 12, 1000, (size_t)FFT_MAX * 2};
    struct fft *fft = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fft_new(bad[i], &fft), CHOIR_ERR_FORMAT);
    assert_null(fft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spectrum_is_that_of_the_sum),
        cmocka_unit_test(there_and_back_is_where_it_was),
        cmocka_unit_test(every_frequency_has_one_place),
        cmocka_unit_test(other_sizes_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
