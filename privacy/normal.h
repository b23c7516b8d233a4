/* normal - standard normal samples by Box and Muller, in loops that the compiler vectorises.
 *
 * Every sample is within r 2^-49 of the real number that ideal uniforms would have given, r
 * the radius of its pair; nothing is cut off at 8.6 as with 53-bit uniforms. What is made of
 * the small difference stands in docs/noise.md. The same on every machine, bit for bit.
 */
#ifndef CHOIR_PRIVACY_NORMAL_H
#define CHOIR_PRIVACY_NORMAL_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/rng.h"

enum {
    NORMAL_BLOCK = 256,  // pairs that are made at a time, at most
    NORMAL_WORDS = 2048, // random words that are drawn at a time, at most
};

/* A run of pairs whose number is known beforehand. Large and secret: a caller's local variable,
 * wiped by normal_end(). */
struct normal {
    struct rng *rng;
    size_t owed;          // words that will be needed for certain and are not drawn yet
    size_t at, end, used; // words[at..end) are drawn and not used; words[used..] never were
    uint64_t words[NORMAL_WORDS];
    double small[NORMAL_BLOCK];
};

/* Begins a run of `pairs` pairs in all. */
void normal_begin(struct normal *normal, struct rng *rng, size_t pairs);

/* Makes the next pairs of the run, at most NORMAL_BLOCK: the first samples of them in
 * to[0..pairs), the second in to[pairs..2 pairs). */
void normal_next(struct normal *normal, double *to, size_t pairs);

/* Wipes. */
void normal_end(struct normal *normal);

/* The step without randomness, for its test: pair i is r (cos t, sin t) with
 * r = sqrt(-2 ln u) where the top bit of side[i] is set, sqrt(-2 ln(1 - u)) where it is not,
 * u = small[i] in (0, 1/2], and t = 2 pi (angle[i] + 1/2) / 2^64 - pi / 4. n <= NORMAL_BLOCK. */
void normal_pairs(double *cosines, double *sines, const double *small, const uint64_t *side,
                  const uint64_t *angle, size_t n);

#endif
