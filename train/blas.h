/* blas - the one door to OpenBLAS: kernels that fit the processor, one thread.
 *
 * Debian 12's OpenBLAS does not know newer processors and then runs kernels five times slower
 * (OpenMathLib/OpenBLAS issue 4267). blas_start() chooses by the features that the processor
 * reports, never by its model.
 */
#ifndef CHOIR_TRAIN_BLAS_H
#define CHOIR_TRAIN_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Repairs the choice of kernels where it is below the processor's abilities and ends the
 * library's own threads, so that a process can be sealed or forked as one thread. Called once by
 * a program before it starts other threads and before the first trainer or evaluation; further
 * calls do nothing. */
void blas_start(void);

/* The kernels in use, such as "SkylakeX"; never NULL. */
const char *blas_kernel_name(void);

/* True if blas_start() had to change the library's own choice. */
bool blas_was_repaired(void);

/* Speed of a 256 x 256 x 256 product here and now, in 1e9 floating-point operations per second
 * of processor time; takes about 20 ms. 0 when memory is short. */
double blas_self_test(void);

/* c [m x n] = a [m x k] b [k x n] + beta c, row-major. `a_transposed`: a is stored [k x m];
 * likewise b. a_width, b_width: floats from one stored row to the next, 0 where dense. */
struct blas_product {
    bool a_transposed, b_transposed;
    size_t m, n, k;
    size_t a_width, b_width;
};
void blas_sgemm(struct blas_product shape, const float *a, const float *b, float beta, float *c);

/* With exactly this many rows m (and a not transposed) each row of c depends, bit by bit, on that
 * row of a alone: neither on the rows beside it nor on its place. At most 64; measured for the
 * kernels of OpenBLAS 0.3.21, and tested for those in use. */
size_t blas_steady_rows(void);

#endif
