#include "round/graph.h"

#include <string.h>

void roster_graph_terms(const struct roster *roster, struct graph_terms *out)
{
    memset(out, 0, sizeof *out);
    out->collusion = roster->c;
    out->has_seed = roster->has_seed;
    memcpy(out->seed, roster->seed, sizeof out->seed);
}

enum choir_err graph_make(const struct graph_terms *terms,
                          const uint8_t run[static MESSAGE_RUN_BYTES], uint64_t round,
                          const struct site_set *v0, struct graph *out)
{
    (void)run;
    (void)round;
    if (v0->n == 0 || (v0->n > GRAPH_UNSEEDED_MAX && !terms->has_seed))
        return CHOIR_ERR_REFUSED;
    memset(out, 0, sizeof *out);
    out->complete = true;
    out->n = (uint32_t)v0->n;
    out->degree = out->n - 1;
    return CHOIR_OK;
}

bool graph_edge(const struct graph *graph, uint32_t i, uint32_t j)
{
    return graph->complete && i != j;
}

bool graph_is_complete(const struct graph *graph)
{
    return graph->complete;
}

size_t graph_degree(const struct graph *graph, uint32_t i, const struct site_set *among)
{
    size_t degree = 0;

    for (size_t k = 0; k < among->n; k++)
        degree += graph_edge(graph, i, among->id[k]) ? 1 : 0;
    return degree;
}

uint32_t graph_share_threshold(const struct graph *graph, uint32_t quorum, size_t degree)
{
    (void)graph;
    (void)degree;
    return quorum;
}
