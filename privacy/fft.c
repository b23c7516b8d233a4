#include "privacy/fft.h"

#include <math.h>
#include <stdlib.h>

#include "privacy/vectorised.h"

// Roots are made of two tables. With p's bits reversed behind the binary point as a fraction,
// root(p) = e^(-i pi fraction(p)); the fraction of a sum of separate bits is the sum of theirs.
enum { LOW_BITS = 11, LOWS = 1 << LOW_BITS, HIGHS = FFT_MAX / 2 / LOWS };

enum { IN_CACHE = 1 << 13 }; // complex numbers that are transformed pass by pass

struct root {
    double c, s;
};

struct fft {
    size_t m; // complex numbers: half the samples
    struct root low[LOWS], high[HIGHS];
};

static double reversed_fraction(size_t p)
{
    double fraction = 0.0;
    double bit = 0.5;

    while (p != 0) {
        fraction += (p & 1) != 0 ? bit : 0.0;
        p >>= 1;
        bit /= 2.0;
    }
    return fraction;
}

static struct root root_at(size_t p)
{
    double angle = -M_PI * reversed_fraction(p);

    return (struct root){cos(angle), sin(angle)};
}

static struct root times(struct root a, struct root b)
{
    return (struct root){a.c * b.c - a.s * b.s, a.c * b.s + a.s * b.c};
}

static struct root root_of(const struct fft *fft, size_t p)
{
    struct root low = fft->low[p % LOWS];

    return p < LOWS ? low : times(low, fft->high[p / LOWS]);
}

enum choir_err fft_new(size_t n, struct fft **fft)
{
    struct fft *made;

    if (n < FFT_MIN || n > FFT_MAX || (n & (n - 1)) != 0)
        return CHOIR_ERR_FORMAT;
    made = malloc(sizeof *made);
    if (made == NULL)
        return CHOIR_ERR_MEMORY;
    made->m = n / 2;
    for (size_t p = 0; p < LOWS; p++)
        made->low[p] = root_at(p);
    for (size_t p = 0; p * LOWS < made->m; p++)
        made->high[p] = root_at(p * LOWS);
    *fft = made;
    return CHOIR_OK;
}

void fft_free(struct fft *fft)
{
    free(fft);
}

size_t fft_frequency(const struct fft *fft, size_t p)
{
    return (size_t)(reversed_fraction(p) * (double)fft->m);
}

// Two levels at once on a block of four quarters: w is the root of its first level, v that of
// the first half's second level, so that v^2 = w; the other half's is -i v.
VECTORISED static void forward_four(double *restrict re, double *restrict im, size_t quarter,
                                    struct root w, struct root v)
{
    struct root x = times(v, w);

    for (size_t j = 0; j < quarter; j++) {
        size_t j1 = j + quarter, j2 = j1 + quarter, j3 = j2 + quarter;
        double r1 = re[j1] * v.c - im[j1] * v.s, i1 = re[j1] * v.s + im[j1] * v.c;
        double r2 = re[j2] * w.c - im[j2] * w.s, i2 = re[j2] * w.s + im[j2] * w.c;
        double r3 = re[j3] * x.c - im[j3] * x.s, i3 = re[j3] * x.s + im[j3] * x.c;
        double sum_r = re[j] + r2, sum_i = im[j] + i2;
        double difference_r = re[j] - r2, difference_i = im[j] - i2;
        double odd_sum_r = r1 + r3, odd_sum_i = i1 + i3;
        double odd_difference_r = r1 - r3, odd_difference_i = i1 - i3;

        re[j] = sum_r + odd_sum_r;
        im[j] = sum_i + odd_sum_i;
        re[j1] = sum_r - odd_sum_r;
        im[j1] = sum_i - odd_sum_i;
        re[j2] = difference_r + odd_difference_i; // minus i times the odd one
        im[j2] = difference_i - odd_difference_r;
        re[j3] = difference_r - odd_difference_i;
        im[j3] = difference_i + odd_difference_r;
    }
}

VECTORISED static void inverse_four(double *restrict re, double *restrict im, size_t quarter,
                                    struct root w, struct root v)
{
    struct root x = times(v, w);

    for (size_t j = 0; j < quarter; j++) {
        size_t j1 = j + quarter, j2 = j1 + quarter, j3 = j2 + quarter;
        double sum_r = re[j] + re[j1], sum_i = im[j] + im[j1];
        double odd_sum_r = re[j] - re[j1], odd_sum_i = im[j] - im[j1];
        double difference_r = re[j2] + re[j3], difference_i = im[j2] + im[j3];
        double odd_difference_r = im[j3] - im[j2], odd_difference_i = re[j2] - re[j3]; // times i
        double r1 = odd_sum_r + odd_difference_r, i1 = odd_sum_i + odd_difference_i;
        double r2 = sum_r - difference_r, i2 = sum_i - difference_i;
        double r3 = odd_sum_r - odd_difference_r, i3 = odd_sum_i - odd_difference_i;

        re[j] = sum_r + difference_r;
        im[j] = sum_i + difference_i;
        re[j1] = r1 * v.c + i1 * v.s;
        im[j1] = i1 * v.c - r1 * v.s;
        re[j2] = r2 * w.c + i2 * w.s;
        im[j2] = i2 * w.c - r2 * w.s;
        re[j3] = r3 * x.c + i3 * x.s;
        im[j3] = i3 * x.c - r3 * x.s;
    }
}

typedef void (*four_step)(double *re, double *im, size_t quarter, struct root w, struct root v);

static void blocks(const struct fft *fft, double *re, double *im, size_t len, size_t first,
                   size_t n, four_step step)
{
    for (size_t b = 0; b < n; b++)
        step(re + b * len, im + b * len, len / 4, root_of(fft, first + b),
             root_of(fft, 2 * (first + b)));
}

// The sums and differences of a pair of halves, which need no root; the inverse is the same.
VECTORISED static void two_step(double *restrict re, double *restrict im, size_t half)
{
    for (size_t j = 0; j < half; j++) {
        double r = re[j + half], i = im[j + half];

        re[j + half] = re[j] - r;
        im[j + half] = im[j] - i;
        re[j] += r;
        im[j] += i;
    }
}

// The block number `block` among those of its length, a power of four.
// NOLINTNEXTLINE(misc-no-recursion): six levels at most
static void forward_block(const struct fft *fft, double *re, double *im, size_t len, size_t block)
{
    if (len > IN_CACHE) {
        blocks(fft, re, im, len, block, 1, forward_four);
        for (size_t b = 0; b < 4; b++)
            forward_block(fft, re + b * (len / 4), im + b * (len / 4), len / 4, 4 * block + b);
        return;
    }
    for (size_t n = 1; n < len; n *= 4)
        blocks(fft, re, im, len / n, block * n, n, forward_four);
}

// NOLINTNEXTLINE(misc-no-recursion): six levels at most
static void inverse_block(const struct fft *fft, double *re, double *im, size_t len, size_t block)
{
    if (len > IN_CACHE) {
        for (size_t b = 0; b < 4; b++)
            inverse_block(fft, re + b * (len / 4), im + b * (len / 4), len / 4, 4 * block + b);
        blocks(fft, re, im, len, block, 1, inverse_four);
        return;
    }
    for (size_t n = len / 4; n > 0; n /= 4)
        blocks(fft, re, im, len / n, block * n, n, inverse_four);
}

static int is_power_of_four(size_t m)
{
    while (m > 2)
        m /= 4;
    return m == 1;
}

// Z = FFT(x[2j] + i x[2j+1]) and X, by X[k] = E + W O and X[m-k] = conj(E - W O) with
// E = (Z[k] + conj Z[m-k]) / 2, O = (Z[k] - conj Z[m-k]) / 2i, W = root(p). Where p's leading
// bit is 2^j, the position of m - k is p with all bits below it turned over.
static void join(const struct fft *fft, double *re, double *im)
{
    double first = re[0];

    re[0] = first + im[0];
    im[0] = first - im[0];
    im[1] = -im[1];
    for (size_t start = 2; start < fft->m; start *= 2)
        for (size_t p = start; p < start + start / 2; p++) {
            size_t q = 3 * start - 1 - p;
            struct root w = root_of(fft, p);
            double even_r = 0.5 * (re[p] + re[q]), even_i = 0.5 * (im[p] - im[q]);
            double odd_r = 0.5 * (im[p] + im[q]), odd_i = 0.5 * (re[q] - re[p]);
            double r = w.c * odd_r - w.s * odd_i, i = w.c * odd_i + w.s * odd_r;

            re[p] = even_r + r;
            im[p] = even_i + i;
            re[q] = even_r - r;
            im[q] = i - even_i;
        }
}

static void part(const struct fft *fft, double *re, double *im)
{
    double scale = 0.5 / (double)fft->m;
    double first = re[0];

    re[0] = scale * (first + im[0]);
    im[0] = scale * (first - im[0]);
    re[1] *= 2.0 * scale;
    im[1] *= -2.0 * scale;
    for (size_t start = 2; start < fft->m; start *= 2)
        for (size_t p = start; p < start + start / 2; p++) {
            size_t q = 3 * start - 1 - p;
            struct root w = root_of(fft, p);
            double even_r = scale * (re[p] + re[q]), even_i = scale * (im[p] - im[q]);
            double r = scale * (re[p] - re[q]), i = scale * (im[p] + im[q]);
            double odd_r = w.c * r + w.s * i, odd_i = w.c * i - w.s * r;

            re[p] = even_r - odd_i;
            im[p] = even_i + odd_r;
            re[q] = even_r + odd_i;
            im[q] = odd_r - even_i;
        }
}

void fft_forward(const struct fft *fft, double *re, double *im)
{
    size_t m = fft->m;

    if (is_power_of_four(m)) {
        forward_block(fft, re, im, m, 0);
    } else {
        two_step(re, im, m / 2);
        forward_block(fft, re, im, m / 2, 0);
        forward_block(fft, re + m / 2, im + m / 2, m / 2, 1);
    }
    join(fft, re, im);
}

void fft_inverse(const struct fft *fft, double *re, double *im)
{
    size_t m = fft->m;

    part(fft, re, im);
    if (is_power_of_four(m)) {
        inverse_block(fft, re, im, m, 0);
    } else {
        inverse_block(fft, re, im, m / 2, 0);
        inverse_block(fft, re + m / 2, im + m / 2, m / 2, 1);
        two_step(re, im, m / 2);
    }
}
