#include "round/unmasking.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/agree.h"
#include "crypto/locked.h"
#include "crypto/sharebox.h"
#include "round/unmasking_state.h"

static_assert((int)MESSAGE_CIPHER_MAX == (int)SHAREBOX_BYTES, "one sealed pair of shares");
static_assert((int)MESSAGE_SHARE_BYTES == (int)SHAMIR_SCALAR_BYTES, "one share");

bool unmasking_edge(const struct unmasking *unmasking, size_t i, size_t j)
{
    size_t bit = i * unmasking->n + j;

    return (unmasking->edges[bit / 8] >> bit % 8 & 1) != 0;
}

static void set_edge(struct unmasking *unmasking, size_t i, size_t j)
{
    size_t bit = i * unmasking->n + j;

    unmasking->edges[bit / 8] |= (uint8_t)(1U << bit % 8);
}

struct member *unmasking_member(const struct unmasking *unmasking, uint32_t id)
{
    size_t low = 0, high = unmasking->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (unmasking->member[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < unmasking->n && unmasking->member[low].id == id ? &unmasking->member[low] : NULL;
}

// The neighbours of all in V0, and from their number the share thresholds.
static void draw_graph(struct unmasking *unmasking)
{
    const struct graph *graph = &unmasking->terms.graph;

    for (size_t i = 0; i < unmasking->n; i++)
        for (size_t j = i + 1; j < unmasking->n; j++) {
            if (!graph_edge(graph, unmasking->member[i].id, unmasking->member[j].id))
                continue;
            set_edge(unmasking, i, j);
            set_edge(unmasking, j, i);
        }
    for (size_t i = 0; i < unmasking->n; i++) {
        size_t degree = 0;

        for (size_t j = 0; j < unmasking->n; j++)
            degree += unmasking_edge(unmasking, i, j) ? 1 : 0;
        unmasking->member[i].threshold =
            graph_share_threshold(graph, unmasking->terms.threshold, degree);
    }
}

enum choir_err unmasking_new(const struct unmasking_terms *terms, struct unmasking **out)
{
    struct unmasking *unmasking = calloc(1, sizeof *unmasking);
    size_t n = terms->v0.n;

    if (unmasking == NULL)
        return CHOIR_ERR_MEMORY;
    unmasking->terms = *terms;
    unmasking->n = n;
    unmasking->member = calloc(n + 1, sizeof *unmasking->member);
    unmasking->edges = calloc(n * n / 8 + 1, 1);
    unmasking->secret = locked_new((n + 1) * sizeof *unmasking->secret);
    if (unmasking->member == NULL || unmasking->edges == NULL || unmasking->secret == NULL) {
        unmasking_free(unmasking);
        return CHOIR_ERR_MEMORY;
    }
    for (size_t i = 0; i < n; i++)
        unmasking->member[i].id = terms->v0.id[i];
    draw_graph(unmasking);
    *out = unmasking;
    return CHOIR_OK;
}

static void forget_bundles(struct unmasking *unmasking)
{
    for (size_t i = 0; unmasking->member != NULL && i < unmasking->n; i++) {
        free(unmasking->member[i].bundle);
        unmasking->member[i].bundle = NULL;
    }
}

void unmasking_free(struct unmasking *unmasking)
{
    if (unmasking == NULL)
        return;
    forget_bundles(unmasking);
    free(unmasking->member);
    free(unmasking->edges);
    free(unmasking->holder);
    locked_free(unmasking->share);
    locked_free(unmasking->secret);
    free(unmasking);
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, CURVE_KEY_BYTES) == 0;
}

// A key with which no secret can be agreed.
static bool low_order(const uint8_t key[static CURVE_KEY_BYTES])
{
    const uint8_t any[CURVE_KEY_BYTES] = {8};
    uint8_t shared[AGREE_SECRET_BYTES];

    return agree_shared(shared, any, key) != CHOIR_OK;
}

enum choir_err unmasking_advert(struct unmasking *unmasking, uint32_t site,
                                const struct msg_advertise *advert, uint32_t *other)
{
    struct member *member = unmasking_member(unmasking, site);

    assert(member != NULL && !member->advertised);
    *other = 0;
    if (same(advert->mask_key, advert->share_key) || low_order(advert->mask_key) ||
        low_order(advert->share_key))
        return CHOIR_ERR_REFUSED;
    for (size_t i = 0; i < unmasking->n; i++) {
        const struct member *past = &unmasking->member[i];

        if (past->advertised &&
            (same(past->mask_key, advert->mask_key) || same(past->mask_key, advert->share_key) ||
             same(past->share_key, advert->mask_key) || same(past->share_key, advert->share_key))) {
            *other = past->id;
            return CHOIR_ERR_REFUSED;
        }
    }
    member->advertised = true;
    memcpy(member->mask_key, advert->mask_key, CURVE_KEY_BYTES);
    memcpy(member->share_key, advert->share_key, CURVE_KEY_BYTES);
    memcpy(member->commitment, advert->commitment, HASH_BYTES);
    return CHOIR_OK;
}

void unmasking_set_v1(struct unmasking *unmasking, const struct site_set *v1,
                      const uint8_t r1[static HASH_BYTES])
{
    memcpy(unmasking->r1, r1, HASH_BYTES);
    for (size_t i = 0; i < unmasking->n; i++)
        unmasking->member[i].in_v1 = site_set_has(v1, unmasking->member[i].id);
}

bool unmasking_reaches(const struct unmasking *unmasking, const struct site_set *dealers,
                       const struct site_set *holders, uint32_t *who)
{
    for (size_t i = 0; i < unmasking->n; i++) {
        const struct member *dealer = &unmasking->member[i];
        size_t shares = site_set_has(holders, dealer->id) ? 1 : 0;

        if (!site_set_has(dealers, dealer->id))
            continue;
        for (size_t k = 0; k < holders->n && shares < dealer->threshold; k++) {
            const struct member *holder = unmasking_member(unmasking, holders->id[k]);

            if (holder != NULL &&
                unmasking_edge(unmasking, i, (size_t)(holder - unmasking->member)))
                shares++;
        }
        *who = dealer->id;
        if (shares < dealer->threshold)
            return false;
    }
    return true;
}

bool unmasking_bundle_fits(const struct unmasking *unmasking, uint32_t site,
                           const struct msg_shares *bundle)
{
    const struct member *member = unmasking_member(unmasking, site);
    size_t n = 0;

    if (member == NULL || !member->in_v1)
        return false;
    for (size_t j = 0; j < unmasking->n; j++) {
        if (!unmasking->member[j].in_v1 ||
            !unmasking_edge(unmasking, (size_t)(member - unmasking->member), j))
            continue;
        if (n == bundle->n || bundle->cipher[n].to != unmasking->member[j].id)
            return false;
        n++;
    }
    return n == bundle->n;
}

enum choir_err unmasking_bundle(struct unmasking *unmasking, uint32_t site,
                                const struct msg_shares *bundle)
{
    struct member *member = unmasking_member(unmasking, site);
    struct sealed *kept = calloc(bundle->n + 1, sizeof *kept);

    if (kept == NULL)
        return CHOIR_ERR_MEMORY;
    assert(member != NULL);
    for (size_t k = 0; k < bundle->n; k++) {
        kept[k].to = bundle->cipher[k].to;
        memcpy(kept[k].bytes, bundle->cipher[k].bytes, MESSAGE_CIPHER_MAX);
    }
    free(member->bundle);
    member->bundle = kept;
    member->n_bundle = bundle->n;
    return CHOIR_OK;
}

static int by_receiver(const void *a, const void *b)
{
    uint32_t left = ((const struct sealed *)a)->to, right = ((const struct sealed *)b)->to;

    return (left > right) - (left < right);
}

const uint8_t *unmasking_cipher(const struct unmasking *unmasking, uint32_t from, uint32_t to)
{
    const struct member *member = unmasking_member(unmasking, from);
    const struct sealed key = {.to = to};
    const struct sealed *found;

    if (member == NULL || member->bundle == NULL)
        return NULL;
    found = bsearch(&key, member->bundle, member->n_bundle, sizeof key, by_receiver);
    return found != NULL ? found->bytes : NULL;
}

enum choir_err unmasking_set_survivors(struct unmasking *unmasking, const struct site_set *v2,
                                       const struct site_set *u,
                                       const uint8_t r2[static HASH_BYTES])
{
    size_t n_shares = 0;

    memcpy(unmasking->r2, r2, HASH_BYTES);
    forget_bundles(unmasking);
    for (size_t i = 0; i < unmasking->n; i++) {
        struct member *member = &unmasking->member[i];

        member->in_v2 = site_set_has(v2, member->id);
        member->in_u = site_set_has(u, member->id);
    }
    for (size_t i = 0; i < unmasking->n; i++) {
        struct member *member = &unmasking->member[i];

        member->first = n_shares;
        for (size_t j = 0; member->in_v2 && j < unmasking->n; j++)
            if (unmasking->member[j].in_u && (i == j || unmasking_edge(unmasking, i, j)))
                n_shares++;
    }
    unmasking->holder = calloc(n_shares + 1, sizeof *unmasking->holder);
    unmasking->share = locked_new((n_shares + 1) * sizeof *unmasking->share);
    return unmasking->holder == NULL || unmasking->share == NULL ? CHOIR_ERR_MEMORY : CHOIR_OK;
}

bool unmasking_answer_fits(const struct unmasking *unmasking, uint32_t site,
                           const struct msg_unmask *answer)
{
    const struct member *member = unmasking_member(unmasking, site);
    size_t n = 0;

    if (member == NULL || !member->in_u)
        return false;
    for (size_t j = 0; j < unmasking->n; j++) {
        const struct member *of = &unmasking->member[j];

        if (!of->in_v2 ||
            (of != member && !unmasking_edge(unmasking, (size_t)(member - unmasking->member), j)))
            continue;
        if (n == answer->n || answer->share[n].of != of->id ||
            answer->share[n].of_mask_key == of->in_u ||
            !shamir_is_canonical(answer->share[n].bytes))
            return false;
        n++;
    }
    return n == answer->n;
}

void unmasking_answer(struct unmasking *unmasking, uint32_t site, const struct msg_unmask *answer)
{
    struct member *member = unmasking_member(unmasking, site);

    assert(member != NULL && !member->answered);
    member->answered = true;
    for (size_t k = 0; k < answer->n; k++) {
        struct member *of = unmasking_member(unmasking, answer->share[k].of);
        size_t at = of->first + of->n_shares++;

        unmasking->holder[at] = (uint16_t)(member - unmasking->member);
        memcpy(unmasking->share[at].bytes, answer->share[k].bytes, SHAMIR_SCALAR_BYTES);
    }
}

size_t unmasking_short(const struct unmasking *unmasking)
{
    size_t n = 0;

    for (size_t i = 0; i < unmasking->n; i++) {
        const struct member *member = &unmasking->member[i];

        n += member->in_v2 && member->n_shares < member->threshold ? 1 : 0;
    }
    return n;
}
