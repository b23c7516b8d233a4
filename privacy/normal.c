#include "privacy/normal.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "privacy/vectorised.h"

#define LOW_63 (UINT64_MAX >> 1)

static inline double from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t to_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// A whole number below 2^52 as a double, by its bits: no conversion instruction needed.
static inline double small_whole(uint64_t whole)
{
    return from_bits(whole | UINT64_C(0x4330000000000000)) - 0x1p52;
}

// (whole + 1/2) 2^-64, rounded once.
static inline double scaled_down(uint64_t whole)
{
    return (small_whole(whole >> 32) * 0x1p32 + (small_whole(whole & UINT32_MAX) + 0.5)) * 0x1p-64;
}

static inline double choose(uint64_t mask, double if_set, double if_clear)
{
    return from_bits((to_bits(if_set) & mask) | (to_bits(if_clear) & ~mask));
}

// atanh(s) / s for s^2 <= 0.0295, by its series: cut off below 2^-55.
static inline double atanh_ratio(double square)
{
    double p = 1.0 / 19;

    p = p * square + 1.0 / 17;
    p = p * square + 1.0 / 15;
    p = p * square + 1.0 / 13;
    p = p * square + 1.0 / 11;
    p = p * square + 1.0 / 9;
    p = p * square + 1.0 / 7;
    p = p * square + 1.0 / 5;
    p = p * square + 1.0 / 3;
    return p * square + 1.0;
}

// -2 ln u or -2 ln(1 - u), with small relative error at both ends.
static inline double squared_radius(double u, uint64_t side)
{
    const uint64_t root_half = UINT64_C(0x3fe6a09e667f3bcd);
    const uint64_t one = UINT64_C(0x3ff0000000000000);
    uint64_t is_log_u = 0 - (side >> 63);
    double x = choose(is_log_u, u, 1.0 - u);
    uint64_t biased = (to_bits(x) + (one - root_half)) >> 52; // exponent of x / sqrt(1/2) + 1023
    double exponent = small_whole(biased) - 1023.0;
    double m = from_bits(to_bits(x) - (biased << 52) + one); // [sqrt(1/2), sqrt(2))
    uint64_t is_near_one = ~is_log_u & (0 - (biased & 1));   // 1 - u is in [1/2, 1]
    double f = choose(is_near_one, -u, m - 1.0);
    double s = f / (2.0 + f);

    return -2.0 * (exponent * M_LN2 + 2.0 * s * atanh_ratio(s * s));
}

// Sine and cosine for |t| <= pi/4 by their series: cut off below 2^-58.
static inline double sine_of(double t)
{
    double square = t * t;
    double p = 1.0 / 355687428096000.0;

    p = p * square - 1.0 / 1307674368000.0;
    p = p * square + 1.0 / 6227020800.0;
    p = p * square - 1.0 / 39916800.0;
    p = p * square + 1.0 / 362880.0;
    p = p * square - 1.0 / 5040.0;
    p = p * square + 1.0 / 120.0;
    p = p * square - 1.0 / 6.0;
    return t + t * (square * p);
}

static inline double cosine_of(double t)
{
    double square = t * t;
    double p = 1.0 / 20922789888000.0;

    p = p * square - 1.0 / 87178291200.0;
    p = p * square + 1.0 / 479001600.0;
    p = p * square - 1.0 / 3628800.0;
    p = p * square + 1.0 / 40320.0;
    p = p * square - 1.0 / 720.0;
    p = p * square + 1.0 / 24.0;
    p = p * square - 0.5;
    return 1.0 + square * p;
}

VECTORISED void normal_pairs(double *restrict cosines, double *restrict sines,
                             const double *restrict small, const uint64_t *restrict side,
                             const uint64_t *restrict angle, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double radius = sqrt(squared_radius(small[i], side[i]));
        // The top two bits are the quadrant, the other 62 the angle around its middle.
        uint64_t within = angle[i] & (UINT64_MAX >> 2);
        double high = small_whole(within >> 32) - 0x1p29;
        double low = small_whole(within & UINT32_MAX) + 0.5;
        double t = (high * 0x1p32 + low) * (M_PI_2 * 0x1p-62);
        double c = radius * cosine_of(t);
        double s = radius * sine_of(t);
        uint64_t is_odd = 0 - (angle[i] >> 62 & 1);
        uint64_t is_lower = angle[i] & UINT64_C(0x8000000000000000); // the last two quadrants
        uint64_t is_left = is_lower ^ (is_odd & UINT64_C(0x8000000000000000));

        // Quadrants: (c, s), (-s, c), (-c, -s), (s, -c).
        cosines[i] = from_bits(to_bits(choose(is_odd, s, c)) ^ is_left);
        sines[i] = from_bits(to_bits(choose(is_odd, c, s)) ^ is_lower);
    }
}

// Writes what the words give by themselves; true if one of them has its leading 10 bits zero
// and so is too coarse.
VECTORISED static bool to_small(double *restrict small, const uint64_t *restrict words, size_t n)
{
    uint64_t leading = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t whole = words[i] & LOW_63;

        small[i] = scaled_down(whole);
        leading |= (whole >> 53) - 1; // negative where they are zero
    }
    return leading >> 63 != 0;
}

// The next n words, valid until the next call. Requests are as large as the room allows, but
// never for a word that may not be needed: what follows in the stream is somebody else's.
static const uint64_t *take(struct normal *normal, size_t n)
{
    size_t rest = normal->end - normal->at;

    if (rest < n) {
        size_t room = NORMAL_WORDS - rest;
        size_t some = normal->owed < room ? normal->owed : room;

        memmove(normal->words, normal->words + normal->at, rest * sizeof *normal->words);
        rng_fill(normal->rng, normal->words + rest, some * sizeof *normal->words);
        normal->owed -= some;
        normal->at = 0;
        normal->end = rest + some;
        normal->used = normal->end > normal->used ? normal->end : normal->used;
    }
    assert(n <= normal->end - normal->at);
    normal->at += n;
    return normal->words + normal->at - n;
}

// One word more than was known to be needed. Nothing is moved: others are in use.
static uint64_t take_extra(struct normal *normal)
{
    if (normal->at == normal->end)
        return rng_u64(normal->rng);
    normal->owed++;
    return normal->words[normal->at++];
}

// Where a word alone is too coarse: 64 more bits below it.
static void refine(struct normal *normal, const uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t whole = words[i] & LOW_63;

        if (whole >> 53 == 0) // then `whole` is exact as a double, and the sum rounds once
            normal->small[i] = ((double)whole + scaled_down(take_extra(normal))) * 0x1p-64;
    }
}

void normal_begin(struct normal *normal, struct rng *rng, size_t pairs)
{
    normal->rng = rng;
    normal->owed = 2 * pairs;
    normal->at = normal->end = normal->used = 0;
}

void normal_next(struct normal *normal, double *to, size_t pairs)
{
    const uint64_t *words = take(normal, 2 * pairs);

    assert(pairs <= NORMAL_BLOCK);
    if (to_small(normal->small, words, pairs))
        refine(normal, words, pairs);
    normal_pairs(to, to + pairs, normal->small, words, words + pairs, pairs);
}

void normal_end(struct normal *normal)
{
    size_t pairs = normal->used < NORMAL_BLOCK ? normal->used : (size_t)NORMAL_BLOCK;

    rng_wipe(normal->words, normal->used * sizeof *normal->words);
    rng_wipe(normal->small, pairs * sizeof *normal->small);
}
