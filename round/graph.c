#include "round/graph.h"

#include <string.h>

#include "base/bytes.h"

static const char label[] = "CHOIR-SA1/graph"; // used without its zero

enum {
    COLLUSION_MAX_PERCENT = 20, // of V0; more: complete
    KEY_TEXT_MAX =
        sizeof label - 1 + GRAPH_SEED_BYTES + MESSAGE_RUN_BYTES + 8 + (size_t)4 * MESSAGE_SITES_MAX,
};

// The parameters of section 3.2, for `collusion_percent` of the sites colluding and up to `n_max`
// sites. Computed with the two bounds of tests/round/graph_bounds.c, which the test of this file
// checks every row against: that a set of sites can be cut off has a probability below 2^-80 (2^-40
// in any of the 2^40 graphs that a server may try), that a site's secrets cannot be restored
// with 10 % of the sites dropping at random one below 2^-20.
struct row {
    uint32_t collusion_percent, n_max, degree, tau_milli;
};

static const struct row table[] = {
    {2, 150, 68, 610},    {2, 200, 72, 620},   {2, 300, 76, 620},   {2, 500, 78, 620},
    {2, 1000, 82, 620},   {5, 150, 74, 630},   {5, 200, 76, 630},   {5, 300, 80, 630},
    {5, 500, 82, 630},    {5, 1000, 86, 630},  {10, 150, 78, 640},  {10, 200, 84, 640},
    {10, 300, 88, 650},   {10, 500, 92, 650},  {10, 1000, 98, 650}, {15, 150, 88, 660},
    {15, 200, 90, 660},   {15, 300, 98, 660},  {15, 500, 104, 670}, {15, 1000, 114, 670},
    {20, 150, 94, 670},   {20, 200, 104, 680}, {20, 300, 108, 680}, {20, 500, 120, 690},
    {20, 1000, 132, 690},
};

void roster_graph_terms(const struct roster *roster, struct graph_terms *out)
{
    memset(out, 0, sizeof *out);
    out->collusion = roster->c;
    out->has_seed = roster->has_seed;
    memcpy(out->seed, roster->seed, sizeof out->seed);
}

// The first row that is enough, or NULL for a complete graph.
static const struct row *row_for(uint32_t n, uint32_t collusion)
{
    if (n <= GRAPH_COMPLETE_MAX || (uint64_t)collusion * 100 > (uint64_t)n * COLLUSION_MAX_PERCENT)
        return NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (n <= table[i].n_max &&
            (uint64_t)collusion * 100 <= (uint64_t)n * table[i].collusion_percent)
            return &table[i];
    return NULL;
}

static void make_key(uint8_t key[static HASH_BYTES], const uint8_t seed[static GRAPH_SEED_BYTES],
                     const uint8_t run[static MESSAGE_RUN_BYTES], uint64_t round,
                     const struct site_set *v0)
{
    uint8_t text[sizeof label - 1 + GRAPH_SEED_BYTES + MESSAGE_RUN_BYTES + 8 +
                 (size_t)4 * MESSAGE_SITES_MAX];
    uint8_t *at = put_bytes(text, label, sizeof label - 1);

    at = put_bytes(at, seed, GRAPH_SEED_BYTES);
    at = put_bytes(at, run, MESSAGE_RUN_BYTES);
    at = put_u64(at, round);
    for (size_t i = 0; i < v0->n; i++)
        at = put_u32(at, v0->id[i]);
    hash_bytes(key, text, (size_t)(at - text));
}

// floor(2^64 k / m) for k < m, without a wider type: 2^64 = m q + r.
static uint64_t share_of_2_64(uint64_t k, uint64_t m)
{
    const uint64_t q = UINT64_MAX / m, r = UINT64_MAX % m + 1;

    return k * q + k * r / m;
}

enum choir_err graph_make(const struct graph_terms *terms,
                          const uint8_t run[static MESSAGE_RUN_BYTES], uint64_t round,
                          const struct site_set *v0, struct graph *out)
{
    const uint32_t n = (uint32_t)v0->n;
    const struct row *row = terms->has_seed ? row_for(n, terms->collusion) : NULL;

    if (n == 0 || (n > GRAPH_UNSEEDED_MAX && !terms->has_seed))
        return CHOIR_ERR_REFUSED;
    memset(out, 0, sizeof *out);
    out->n = n;
    if (row == NULL) {
        out->complete = true;
        out->degree = n - 1;
        return CHOIR_OK;
    }
    out->degree = row->degree;
    out->tau_milli = row->tau_milli;
    out->limit = share_of_2_64(row->degree, n - 1);
    make_key(out->key, terms->seed, run, round, v0);
    return CHOIR_OK;
}

bool graph_edge(const struct graph *graph, uint32_t i, uint32_t j)
{
    uint8_t text[HASH_BYTES + 4 + 4], hash[HASH_BYTES], *at;

    if (i == j || graph->complete)
        return i != j;
    at = put_bytes(text, graph->key, sizeof graph->key);
    at = put_u32(at, i < j ? i : j);
    put_u32(at, i < j ? j : i);
    hash_bytes(hash, text, sizeof text);
    return get_u64(hash) < graph->limit;
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

// With the site's own share in the number, those that an aggregator needs beside it are
// ceil(tau deg): what the bounds count.
uint32_t graph_share_threshold(const struct graph *graph, uint32_t quorum, size_t degree)
{
    return graph->complete ? quorum : (uint32_t)((graph->tau_milli * degree + 999) / 1000) + 1;
}
