/* graph - who holds shares of whom, and whose masks meet: the neighbours of a site in an attempt.
 *
 * Complete while that is cheap (V0 of up to GRAPH_COMPLETE_MAX sites) or needed (more than a
 * fifth of the sites may collude). Else every pair of V0 is an edge with probability
 * p = k / (n - 1), decided by a hash that nobody chose: key = H("CHOIR-SA1/graph" || seed || run ||
 * round || ids of V0), and i < j are neighbours iff the first 8 bytes (little-endian) of
 * H(key || i || j) are below floor(p 2^64). The seed is made of nonces that all sites committed to
 * before anybody showed one. Each site computes the graph itself; the aggregator never sends it.
 *
 * V0 is part of the key because the aggregator chooses V0: in one graph over the whole roster it
 * would leave out the honest neighbours of one site. Every V0 it tries is a graph drawn afresh, and
 * the table allows it 2^40 tries. For the same reason the share threshold counts neighbours in V0,
 * not in V1: else leaving honest neighbours out of V1 would lower the threshold to what the
 * colluding ones hold.
 *
 * The parameters stand for c of up to a fifth of the sites and a tenth of them dropping at random; with
 * more, a round may be lost (never opened wrongly). Pure values: copied freely, nothing to release. Source: SA1, section 3.2.
 */
#ifndef CHOIR_ROUND_GRAPH_H
#define CHOIR_ROUND_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/message.h"
#include "wire/roster.h"

enum {
    GRAPH_COMPLETE_MAX = 100, // sites of V0 up to which the graph is complete
    GRAPH_UNSEEDED_MAX = 300, // the same for a roster without a seed; more is refused
    GRAPH_SEED_BYTES = HASH_BYTES,
};

/* What a roster says about graphs. */
struct graph_terms {
    bool has_seed; // every site has revealed its nonce
    uint8_t seed[GRAPH_SEED_BYTES];
    uint32_t collusion; // c
};

struct graph {
    bool complete;
    uint32_t n;      // |V0|
    uint32_t degree; // k: neighbours expected; n - 1 if complete
    uint32_t
        tau_milli;  // share threshold as a part of a site's neighbours, in 1/1000; 0 if complete
    uint64_t limit; // floor(p 2^64)
    uint8_t key[HASH_BYTES];
};

/* The terms of `roster`. */
void roster_graph_terms(const struct roster *roster, struct graph_terms *out);

/* The graph of an attempt over `v0`. Fails with CHOIR_ERR_REFUSED if so many sites cannot be served:
 * more than GRAPH_UNSEEDED_MAX without a seed; v0 is empty. *out is untouched then. */
CHOIR_MUST_CHECK enum choir_err graph_make(const struct graph_terms *terms,
                                           const uint8_t run[static MESSAGE_RUN_BYTES],
                                           uint64_t round, const struct site_set *v0,
                                           struct graph *out);

/* Whether i and j, both of V0, are neighbours. Symmetric; no site is its own neighbour. */
bool graph_edge(const struct graph *graph, uint32_t i, uint32_t j);

bool graph_is_complete(const struct graph *graph);

/* How many sites of `among`, a part of V0, are neighbours of i. */
size_t graph_degree(const struct graph *graph, uint32_t i, const struct site_set *among);

/* How many shares restore the secrets of a site with `degree` neighbours in V0 (not V1). `quorum`
 * is T. The site itself holds a share too; for the sparse graph that one is in the number. A site
 * whose neighbours in V1 and itself are fewer than this cannot take part. */
uint32_t graph_share_threshold(const struct graph *graph, uint32_t quorum, size_t degree);

#endif
