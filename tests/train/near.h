/* near - test help: comparisons of numbers within a bound. */
#ifndef CHOIR_TESTS_TRAIN_NEAR_H
#define CHOIR_TESTS_TRAIN_NEAR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

static inline bool is_near(double a, double b, double within)
{
    return fabs(a - b) <= within;
}

static inline bool are_near(const float *a, const double *b, size_t n, double within)
{
    for (size_t i = 0; i < n; i++)
        if (!is_near((double)a[i], b[i], within))
            return false;
    return true;
}

#endif
