#include "privacy/normal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 1000000, PIECE = 2 * NORMAL_BLOCK };

static const uint8_t seed[RNG_SEED_BYTES] = {42};
static double *samples;

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

// n samples, even or not, in a run of their own.
static void fill(double *to, size_t n, struct rng *rng)
{
    struct normal normal;
    double some[PIECE];

    normal_begin(&normal, rng, (n + 1) / 2);
    for (size_t done = 0; done < n; done += PIECE) {
        size_t left = n - done < PIECE ? n - done : (size_t)PIECE;

        normal_next(&normal, some, (left + 1) / 2);
        memcpy(to + done, some, left * sizeof *to);
    }
    normal_end(&normal);
}

static int draw_samples(void **state)
{
    struct rng *rng = NULL;

    (void)state;
    samples = calloc(SAMPLES, sizeof *samples);
    if (samples == NULL || rng_start() != CHOIR_OK ||
        rng_open_seeded("noise", seed, &rng) != CHOIR_OK)
        return -1;
    fill(samples, SAMPLES, rng);
    rng_close(rng);
    return 0;
}

static int free_samples(void **state)
{
    (void)state;
    free(samples);
    return 0;
}

// The k-th moment of the samples about zero.
static double moment(int k)
{
    double sum = 0.0;

    for (size_t i = 0; i < SAMPLES; i++)
        sum += pow(samples[i], k);
    return sum / SAMPLES;
}

// The seed is fixed. For a seed drawn at random each check here fails with probability below
// 1e-7: five and a half deviations of the estimate.
static void the_first_four_moments_are_those_of_a_normal(void **state)
{
    double unit = 5.5 / sqrt((double)SAMPLES);

    (void)state;
    assert_true(fabs(moment(1)) < unit);
    assert_true(fabs(moment(2) - 1.0) < unit * sqrt(2.0));
    assert_true(fabs(moment(3)) < unit * sqrt(15.0));
    assert_true(fabs(moment(4) - 3.0) < unit * sqrt(96.0));
}

static void neighbours_and_partners_are_uncorrelated(void **state)
{
    const size_t apart[] = {1, 2, NORMAL_BLOCK, NORMAL_BLOCK + 1};

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        double sum = 0.0;
        double squares = 0.0;

        for (size_t i = apart[k]; i < SAMPLES; i++) {
            double a = samples[i];
            double b = samples[i - apart[k]];

            sum += a * b;
            squares += (a * a - 1.0) * (b * b - 1.0);
        }
        assert_true(fabs(sum) < 5.5 * sqrt((double)SAMPLES));
        assert_true(fabs(squares) < 5.5 * 2.0 * sqrt((double)SAMPLES));
    }
}

// Kolmogorov and Smirnov: P[sqrt(n) D > 2.8] < 2 exp(-2 * 2.8^2) < 4e-7.
static void the_distribution_function_is_that_of_a_normal(void **state)
{
    double worst = 0.0;

    (void)state;
    qsort(samples, SAMPLES, sizeof *samples, by_size);
    for (size_t i = 0; i < SAMPLES; i++) {
        double phi = 0.5 * erfc(-samples[i] * M_SQRT1_2);

        worst = fmax(worst, fabs(phi - ((double)i + 0.5) / SAMPLES));
    }
    assert_true(worst * sqrt((double)SAMPLES) < 2.8);
    assert_true(samples[SAMPLES - 1] > 4.2 && samples[0] < -4.2);
}

// What ideal arithmetic makes of the same numbers, in 64 bits of precision.
static void reference(double u, uint64_t side, uint64_t angle, long double xy[2])
{
    const long double pi = 3.14159265358979323846264338327950288L;
    long double log_of = side >> 63 ? logl((long double)u) : log1pl(-(long double)u);
    long double radius = sqrtl(-2.0L * log_of);
    long double t = 2.0L * pi * ((long double)angle + 0.5L) * 0x1p-64L - pi / 4.0L;

    xy[0] = radius * cosl(t);
    xy[1] = radius * sinl(t);
}

static void assert_block_is_accurate(struct rng *rng, int shift)
{
    uint64_t side[NORMAL_BLOCK];
    uint64_t angle[NORMAL_BLOCK];
    double small[NORMAL_BLOCK];
    double x[NORMAL_BLOCK];
    double y[NORMAL_BLOCK];

    for (size_t i = 0; i < NORMAL_BLOCK; i++) {
        side[i] = rng_u64(rng);
        angle[i] = rng_u64(rng);
        small[i] = ldexp(rng_unit(rng) + 0x1p-54, -1 - shift);
    }
    normal_pairs(x, y, small, side, angle, NORMAL_BLOCK);
    for (size_t i = 0; i < NORMAL_BLOCK; i++) {
        long double want[2];
        long double bound;

        reference(small[i], side[i], angle[i], want);
        bound = hypotl(want[0], want[1]) * 0x1p-50L; // half of what docs/noise.md uses
        assert_true(fabsl((long double)x[i] - want[0]) <= bound);
        assert_true(fabsl((long double)y[i] - want[1]) <= bound);
    }
}

static void every_sample_is_within_the_stated_error(void **state)
{
    volatile long double one = 1.0L;
    struct rng *rng = NULL;

    (void)state;
    if (!(one + 0x1p-60L > one))
        skip(); // no long double better than double: other machines, valgrind
    assert_int_equal(rng_open_seeded("test", seed, &rng), CHOIR_OK);
    for (int shift = 0; shift < 127; shift++)
        for (int k = 0; k < 16; k++)
            assert_block_is_accurate(rng, shift);
    rng_close(rng);
}

static void the_stream_decides_the_samples_bit_for_bit(void **state)
{
    struct rng *rng = NULL;
    double again[1001];
    uint64_t digest = 0;

    (void)state;
    assert_int_equal(rng_open_seeded("noise", seed, &rng), CHOIR_OK);
    fill(again, 1001, rng);
    rng_close(rng);
    for (size_t i = 0; i < 1001; i++) {
        uint64_t bits;

        memcpy(&bits, &again[i], sizeof bits);
        digest = (digest ^ bits) * UINT64_C(0x100000001b3);
    }
    assert_int_equal(digest, UINT64_C(0x86f62c10bc299aff)); // the same on every machine and build
}

// 50 runs of 2000 pairs: about 100 of them take an extra word, some of it from the numbers at
// hand and some from the stream.
static void a_run_takes_no_word_that_it_does_not_need(void **state)
{
    struct rng *rng = NULL, *other = NULL;
    double some[4000];
    size_t n_extra = 0;

    (void)state;
    assert_int_equal(rng_open_seeded("noise", seed, &rng), CHOIR_OK);
    assert_int_equal(rng_open_seeded("noise", seed, &other), CHOIR_OK);
    for (int run = 0; run < 50; run++) {
        fill(some, 4000, rng);
        for (size_t pairs = 2000, now; pairs > 0; pairs -= now) {
            uint64_t words[2 * NORMAL_BLOCK];

            now = pairs < NORMAL_BLOCK ? pairs : (size_t)NORMAL_BLOCK;
            rng_fill(other, words, 2 * now * sizeof words[0]);
            for (size_t i = 0; i < now; i++)
                n_extra += words[i] << 1 >> 54 == 0;
            for (; n_extra > 0; n_extra--)
                (void)rng_u64(other);
        }
        assert_int_equal(rng_u64(rng), rng_u64(other));
    }
    rng_close(rng);
    rng_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_four_moments_are_those_of_a_normal),
        cmocka_unit_test(neighbours_and_partners_are_uncorrelated),
        cmocka_unit_test(the_distribution_function_is_that_of_a_normal),
        cmocka_unit_test(every_sample_is_within_the_stated_error),
        cmocka_unit_test(the_stream_decides_the_samples_bit_for_bit),
        cmocka_unit_test(a_run_takes_no_word_that_it_does_not_need),
    };

    return cmocka_run_group_tests(tests, draw_samples, free_samples);
}
