/* graph_bounds - how likely it is that a random graph serves its sites badly: upper bounds.
 *
 * Source: SA1, section 3.2. Everything is a base-2 logarithm of a probability. */
#ifndef CHOIR_TESTS_ROUND_GRAPH_BOUNDS_H
#define CHOIR_TESTS_ROUND_GRAPH_BOUNDS_H

#include <stdint.h>

/* A graph of n sites, c of them colluding, edges with probability k / (n - 1), share threshold
 * tau_milli / 1000 of a site's neighbours. */
struct graph_case {
    uint32_t n, c, k, tau_milli;
};

/* Some set of honest sites, at most half of them, could be cut off from the others: each of its
 * members has a part tau of its neighbours within the set or among the colluding, so that a server
 * that lets the right sites drop restores their secrets and learns the sum over them alone.
 * Chernoff's bound for one set, minimised over its parameter on a grid (any value gives a bound),
 * and the union over all sets. */
double graph_privacy_log2(const struct graph_case *graph);

/* Some site's secrets cannot be restored though every site dropped at random with probability
 * `delta`: fewer neighbours answer than ceil(tau deg) + 1, the threshold with the site's own share
 * left out of account. Union over all sites. */
double graph_loss_log2(const struct graph_case *graph, double delta);

#endif
