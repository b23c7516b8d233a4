/* fft - Fourier transform of real samples, sizes that are powers of two, in double precision.
 *
 * Samples stand in two arrays: number 2j in re[j], number 2j + 1 in im[j]. The spectrum takes
 * their place: re[p] and im[p] hold X[fft_frequency(p)] for p > 0, and at p = 0 stand the two
 * real values X[0] and X[n/2]. The order is that of reversed bits, which spares a permutation:
 * whoever multiplies spectra need not care. X[k] = sum_j x[j] e^(-2 pi i j k / n).
 *
 * Works depth first, so that all but the first passes stay within the cache. Errors are about
 * 1e-16 of the root mean square of the result. One table serves any number of threads.
 */
#ifndef CHOIR_PRIVACY_FFT_H
#define CHOIR_PRIVACY_FFT_H

#include <stddef.h>

#include "base/err.h"

enum { FFT_MIN = 8, FFT_MAX = 1 << 26 }; // samples

struct fft;

/* A table for n samples. Fails with CHOIR_ERR_FORMAT unless n is a power of two from FFT_MIN to
 * FFT_MAX. */
CHOIR_MUST_CHECK enum choir_err fft_new(size_t n, struct fft **fft);
void fft_free(struct fft *fft);

/* Both in place, arrays [n/2]; the inverse undoes the other, its factor 1/n included. */
void fft_forward(const struct fft *fft, double *re, double *im);
void fft_inverse(const struct fft *fft, double *re, double *im);

/* Which frequency stands at position p < n/2. */
size_t fft_frequency(const struct fft *fft, size_t p);

#endif
