#include <stdlib.h>
#include <string.h>

#include "aggregator/merge.h"
#include "bench/secagg.h"
#include "crypto/hash.h"
#include "crypto/merkle.h"
#include "round/sum.h"
#include "round/unmasking.h"

enum { CHUNK_BYTES = 262144, SAID = 5 }; // signed messages of a site in a round

static struct revealed revealed[SECAGG_MAX];

static void take_words(struct secagg *round, struct unmasking *unmasking)
{
    uint32_t n = round->of->n, other;

    for (uint32_t i = 0; i < n; i++)
        secagg_must(unmasking_advert(unmasking, i + 1, &round->site[i].advert, &other) == CHOIR_OK);
    unmasking_set_v1(unmasking, &round->v0, round->r[1]);
    for (uint32_t i = 0; i < n; i++) {
        secagg_must(unmasking_bundle_fits(unmasking, i + 1, &round->site[i].shares));
        secagg_must(unmasking_bundle(unmasking, i + 1, &round->site[i].shares) == CHOIR_OK);
    }
    secagg_must(unmasking_set_survivors(unmasking, &round->v0, &round->u, round->r[2]) == CHOIR_OK);
    for (uint32_t i = round->of->dropouts; i < n; i++) {
        secagg_must(unmasking_answer_fits(unmasking, i + 1, &round->site[i].unmask));
        unmasking_answer(unmasking, i + 1, &round->site[i].unmask);
    }
}

// What takes all masks out of the sum.
static struct maskset *restore(struct secagg *round)
{
    struct unmasking_terms *terms = calloc(1, sizeof *terms);
    struct unmasking *unmasking = NULL;
    struct unmasking_faults faults;
    struct maskset *masks = NULL;
    size_t failed = 0, n = 0;

    secagg_must(terms != NULL);
    terms->suite = 1;
    terms->threshold = round->of->quorum;
    terms->graph = round->graph;
    terms->v0 = round->v0;
    memcpy(terms->r0, round->r[0], HASH_BYTES);
    secagg_must(unmasking_new(terms, &unmasking) == CHOIR_OK);
    take_words(round, unmasking);
    secagg_must(unmasking_restore(unmasking, &failed, &faults) == CHOIR_OK && failed == 0);
    secagg_must(unmasking_harvest(unmasking, revealed, &n, &masks) == CHOIR_OK);
    unmasking_free(unmasking);
    free(terms);
    return masks;
}

static enum choir_err read_vector(void *context, size_t i, uint64_t offset, uint8_t *to, size_t len)
{
    const struct secagg *round = context;

    memcpy(to, round->site[round->of->dropouts + i].vector + offset, len);
    return CHOIR_OK;
}

// The arithmetic alone: vectors added where they lie, then the masks, segment by segment.
static bool merge(struct secagg *round, const struct maskset *masks, uint8_t *total)
{
    struct mask *worker = NULL;
    const uint8_t *parts[SECAGG_MAX];

    secagg_must(mask_open(1, &worker) == CHOIR_OK);
    for (size_t k = 0; k < round->n_segments; k++) {
        size_t offset, len = secagg_segment(round, k, &offset);

        for (size_t i = 0; i < round->u.n; i++)
            parts[i] = round->site[round->of->dropouts + i].vector + offset;
        sum_parts(round->of->lane_bits, parts, round->u.n, total + offset, len);
        maskset_apply(masks, worker, (uint32_t)k, round->of->lane_bits, 0, total + offset, len);
    }
    mask_close(worker);
    return memcmp(total, round->expected, round->bytes) == 0;
}

static void hash_all(const struct secagg *round, const uint8_t *total)
{
    uint8_t leaf[HASH_BYTES];

    for (size_t i = round->of->dropouts; i < round->of->n; i++)
        for (size_t at = 0; at < round->bytes; at += CHUNK_BYTES)
            merkle_leaf(leaf, round->site[i].vector + at,
                        round->bytes - at < CHUNK_BYTES ? round->bytes - at : CHUNK_BYTES);
    hash_bytes(leaf, total, round->bytes);
}

struct taken {
    const struct secagg *round;
    bool differs[MERGE_THREADS_MAX];
};

static enum choir_err compare(void *context, size_t worker, size_t segment, const uint8_t *total,
                              size_t len)
{
    struct taken *taken = context;
    size_t offset;

    (void)secagg_segment(taken->round, segment, &offset);
    if (memcmp(total, taken->round->expected + offset, len) != 0)
        taken->differs[worker] = true;
    return CHOIR_OK;
}

// The same on two threads as the aggregator does it: each block is read to a buffer first.
static bool merge_on_threads(struct secagg *round, const struct maskset *masks)
{
    struct quantize_layout layout;
    struct taken taken = {.round = round};
    struct merge_job job = {.layout = &layout,
                            .source = {.read = read_vector, .context = round, .n = round->u.n},
                            .unmask = masks,
                            .threads = 2,
                            .take = compare,
                            .context = &taken};
    uint8_t sum_hash[HASH_BYTES];
    struct choir_diag diag;

    secagg_must(quantize_layout_make(round->of->n_parameters, round->of->lane_bits, round->of->n,
                                     1.0, &layout) == CHOIR_OK &&
                layout.n_bytes == round->bytes);
    return merge_run(&job, sum_hash, &diag) == CHOIR_OK && !taken.differs[0] && !taken.differs[1];
}

bool secagg_serve(struct secagg *round, struct secagg_server *cost)
{
    uint8_t *total = calloc(1, round->bytes);
    struct maskset *masks;
    double begin, wall;
    bool good;

    secagg_must(total != NULL);
    memset(total, 1, round->bytes); // is there before the clock runs
    begin = secagg_cpu();
    wall = secagg_wall();
    masks = restore(round);
    cost->restore = secagg_cpu() - begin;
    good = merge_on_threads(round, masks);
    cost->wall = secagg_wall() - wall;
    begin = secagg_cpu();
    good = merge(round, masks, total) && good;
    cost->merge = secagg_cpu() - begin;
    begin = secagg_cpu();
    hash_all(round, total);
    cost->hash = secagg_cpu() - begin;
    begin = secagg_cpu();
    secagg_verify(round, (size_t)SAID * round->of->n);
    cost->signatures = secagg_cpu() - begin;
    cost->terms = maskset_count(masks);
    maskset_free(masks);
    free(total);
    return good;
}
