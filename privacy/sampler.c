#include "privacy/sampler.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "base/bytes.h"

enum { COINS = 256 }; // drawn at a time

size_t sampler_draw(struct rng *rng, double rate, size_t n, uint32_t *chosen)
{
    uint8_t coins[8 * COINS] = {0};
    size_t n_chosen = 0;
    bool is_all = rate >= 1.0;
    uint64_t threshold;

    assert(rate >= 0.0 && rate <= 1.0 && n <= UINT32_MAX);
    threshold = is_all ? 0 : (uint64_t)ldexp(rate, 64); // exact but for bits below 2^-64
    for (size_t row = 0; row < n; row++) {
        size_t coin = row % COINS;

        if (coin == 0)
            rng_fill(rng, coins, (n - row < COINS ? n - row : (size_t)COINS) * 8);
        chosen[n_chosen] = (uint32_t)row; // no branch on a coin: time tells nothing
        n_chosen += (size_t)(is_all | (get_u64(coins + coin * 8) < threshold));
    }
    rng_wipe(coins, sizeof coins);
    return n_chosen;
}

double sampler_overflow(double rate, size_t n, size_t cap)
{
    double share = (double)(cap + 1) / (double)n; // the smallest that is too many
    double log_bound;

    if (cap >= n || !(rate > 0.0))
        return 0.0;
    if (share <= rate)
        return 1.0;
    if (cap + 1 == n)
        return pow(rate, (double)n);
    log_bound = share * log(share / rate) + (1.0 - share) * log((1.0 - share) / (1.0 - rate));
    return exp(-(double)n * log_bound);
}
