/* grid - probabilities of privacy losses at the points i h, tilted, composed by Fourier transform.
 *
 * The grid is a ring of n points: i and i + n are the same place, so a composition is exact up to
 * what it folds into the window that is read at the end. Each loss i h is weighted by
 * e^(theta i h); losses are divided by their sum, whose logarithm is kept in log_moment.
 */
#ifndef CHOIR_PRIVACY_GRID_H
#define CHOIR_PRIVACY_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct fft;

struct grid {
    size_t n;
    double h, theta;
    double log_moment; // of all that was composed: ln of the mean of e^(theta loss)
    int64_t first;     // grid_close(): where the window begins
    bool is_started;
    struct fft *fft;
    double *re, *im;         // [n/2] one loss: point 2j in re[j], point 2j + 1 in im[j]
    double *sum_re, *sum_im; // [n/2] spectrum of the composition, at last its curve
};

/* Nothing composed yet: the loss 0. n as fft_new() wants it. Owned by the caller who releases it,
 * also after a failure. */
CHOIR_MUST_CHECK enum choir_err grid_init(struct grid *grid, size_t n, double h, double theta);
void grid_release(struct grid *grid);

/* Begins a loss: all its probabilities zero. */
void grid_clear(struct grid *grid);

/* Adds the tilted probability p at point i. */
static inline void grid_put(struct grid *grid, int64_t i, double p)
{
    size_t at = (size_t)i & (grid->n - 1);

    ((at & 1) != 0 ? grid->im : grid->re)[at / 2] += p;
}

/* Makes in `coarse`, of half the points at twice the distance, the same loss with every other
 * point put on its two neighbours, by connect-the-dots again. */
void grid_coarsen(const struct grid *grid, struct grid *coarse);

/* Composes the loss `count` times to what is there; its probabilities were divided by e^log_scale.
 * Gives up the loss. Returns the logarithm of its moment. */
double grid_compose(struct grid *grid, uint64_t count, double log_scale);

/* Ends composing; the window is the n points from `first`. */
void grid_close(struct grid *grid, int64_t first);

/* The epsilon at which the finite losses give delta = e^log_delta, by the closed grid. May be
 * negative. False if it lies below the window: *epsilon is then the window's lower end. */
bool grid_epsilon(const struct grid *grid, double log_delta, double *epsilon);

#endif
