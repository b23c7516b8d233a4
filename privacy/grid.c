#include "privacy/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/fft.h"

enum choir_err grid_init(struct grid *grid, size_t n, double h, double theta)
{
    size_t m = n / 2;

    *grid = (struct grid){.n = n, .h = h, .theta = theta};
    grid->re = malloc(m * sizeof *grid->re);
    grid->im = malloc(m * sizeof *grid->im);
    grid->sum_re = malloc(m * sizeof *grid->sum_re);
    grid->sum_im = malloc(m * sizeof *grid->sum_im);
    if (grid->re == NULL || grid->im == NULL || grid->sum_re == NULL || grid->sum_im == NULL)
        return CHOIR_ERR_MEMORY;
    return fft_new(n, &grid->fft);
}

void grid_release(struct grid *grid)
{
    fft_free(grid->fft);
    free(grid->re);
    free(grid->im);
    free(grid->sum_re);
    free(grid->sum_im);
    *grid = (struct grid){0};
}

void grid_clear(struct grid *grid)
{
    memset(grid->re, 0, grid->n / 2 * sizeof *grid->re);
    memset(grid->im, 0, grid->n / 2 * sizeof *grid->im);
}

void grid_coarsen(const struct grid *grid, struct grid *coarse)
{
    double up = exp(grid->theta * grid->h) / (1.0 + exp(-grid->h)); // tilted at its new place
    double down = exp(-grid->theta * grid->h) / (1.0 + exp(grid->h));
    size_t m = grid->n / 2;
    double before = grid->im[m - 1];

    for (size_t j = 0; j < m; j++) {
        double p = grid->re[j] + up * before + down * grid->im[j];

        before = grid->im[j];
        ((j & 1) != 0 ? coarse->im : coarse->re)[j / 2] = p;
    }
}

// A number of the spectrum, of absolute value at most 1 but for rounding, to the power of count.
static void raise(double *re, double *im, double count)
{
    double square = *re * *re + *im * *im;
    double log_size = 0.5 * count * log(square); // -inf for zero
    double angle;

    if (log_size < -100.0) { // nothing, beside the value 1 at frequency 0
        *re = *im = 0.0;
        return;
    }
    angle = count * atan2(*im, *re);
    *re = exp(log_size) * cos(angle);
    *im = exp(log_size) * sin(angle);
}

static double raised_real(double x, uint64_t count)
{
    return (x < 0.0 && (count & 1) != 0 ? -1.0 : 1.0) * exp((double)count * log(fabs(x)));
}

static void multiply(double *re, double *im, double by_re, double by_im)
{
    double r = *re * by_re - *im * by_im;

    *im = *re * by_im + *im * by_re;
    *re = r;
}

static void raise_all(struct grid *grid, uint64_t count, double scale)
{
    double n = (double)count;
    double cut = exp(-200.0 / n); // of the square: spares the logarithm

    grid->re[0] = raised_real(grid->re[0] * scale, count);
    grid->im[0] = raised_real(grid->im[0] * scale, count);
    for (size_t p = 1; p < grid->n / 2; p++) {
        double re = grid->re[p] * scale, im = grid->im[p] * scale;

        if (re * re + im * im < cut)
            re = im = 0.0;
        else if (count > 1)
            raise(&re, &im, n);
        grid->re[p] = re;
        grid->im[p] = im;
    }
}

double grid_compose(struct grid *grid, uint64_t count, double log_scale)
{
    double log_moment;

    fft_forward(grid->fft, grid->re, grid->im);
    log_moment = log_scale + log(grid->re[0]); // frequency 0 is the sum
    grid->log_moment += (double)count * log_moment;
    raise_all(grid, count, 1.0 / grid->re[0]);
    if (!grid->is_started) {
        double *re = grid->re, *im = grid->im;

        grid->re = grid->sum_re;
        grid->im = grid->sum_im;
        grid->sum_re = re;
        grid->sum_im = im;
        grid->is_started = true;
        return log_moment;
    }
    grid->sum_re[0] *= grid->re[0];
    grid->sum_im[0] *= grid->im[0];
    for (size_t p = 1; p < grid->n / 2; p++)
        multiply(&grid->sum_re[p], &grid->sum_im[p], grid->re[p], grid->im[p]);
    return log_moment;
}

static double *point(const struct grid *grid, int64_t i)
{
    size_t at = (size_t)i & (grid->n - 1);

    return &((at & 1) != 0 ? grid->sum_im : grid->sum_re)[at / 2];
}

// Every point j gets D(j) = sum over i > j of p(i) e^(-theta x) (1 - e^-x), x = (i - j) h: what the
// finite losses give to delta(j h) but for the factor e^(log_moment - theta j h). All terms are
// positive. U is the same sum from i = j on with e^(-(theta + 1) x).
void grid_close(struct grid *grid, int64_t first)
{
    double step = exp(-grid->theta * grid->h);
    double steeper = exp(-(grid->theta + 1.0) * grid->h);
    double rise = -expm1(-grid->h);
    double d = 0.0, u = 0.0;

    fft_inverse(grid->fft, grid->sum_re, grid->sum_im);
    grid->first = first;
    for (int64_t i = first + (int64_t)grid->n - 1; i >= first; i--) {
        double *at = point(grid, i);
        double p = fmax(0.0, *at);

        d = step * (d + rise * u);
        u = p + steeper * u;
        *at = d;
    }
}

// ln of what point i is to be compared with.
static double log_bar(const struct grid *grid, double log_delta, int64_t i)
{
    return log_delta - grid->log_moment + grid->theta * (double)i * grid->h;
}

bool grid_epsilon(const struct grid *grid, double log_delta, double *epsilon)
{
    int64_t low = grid->first - 1, high = grid->first + (int64_t)grid->n - 1;
    double here, before, ratio;

    while (high - low > 1) { // delta(high) is small enough, delta(low) is not
        int64_t middle = low + (high - low) / 2;

        if (log(*point(grid, middle)) <= log_bar(grid, log_delta, middle))
            high = middle;
        else
            low = middle;
    }
    *epsilon = (double)high * grid->h;
    if (high == grid->first)
        return false;
    // Between two points delta is D(high) + (1 - e^-y) U(high), y the way down from high.
    here = *point(grid, high);
    before = *point(grid, low) * exp(grid->theta * grid->h) - here; // (1 - e^-h) U(high)
    ratio = -expm1(-grid->h) * (exp(log_bar(grid, log_delta, high)) - here) / before;
    if (ratio > 0.0) // false for NaN
        *epsilon += log1p(-fmin(ratio, -expm1(-grid->h)));
    return true;
}
