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

enum { NORMAL_BLOCK = 256 }; // pairs that normal_pairs() takes at most

/* Writes n samples. Two that come from one pair are neighbours at distance NORMAL_BLOCK or
 * less within this call; samples of two calls share no pair. */
void normal_fill(double *to, size_t n, struct rng *rng);

/* The step without randomness, for its test: pair i is r (cos t, sin t) with
 * r = sqrt(-2 ln u) where the top bit of side[i] is set, sqrt(-2 ln(1 - u)) where it is not,
 * u = small[i] in (0, 1/2], and t = 2 pi (angle[i] + 1/2) / 2^64 - pi / 4. n <= NORMAL_BLOCK. */
void normal_pairs(double *cosines, double *sines, const double *small, const uint64_t *side,
                  const uint64_t *angle, size_t n);

#endif
