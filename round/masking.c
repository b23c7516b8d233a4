#include "round/masking.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/agree.h"
#include "crypto/hkdf.h"
#include "crypto/locked.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"
#include "crypto/sharebox.h"

static_assert((int)MESSAGE_CIPHER_MAX == (int)SHAREBOX_BYTES, "a box of the wire");
static_assert((int)MESSAGE_SHARE_BYTES == (int)SHAMIR_SCALAR_BYTES, "a share of the wire");

/* A neighbour in V1, or the site itself. */
struct holding {
    uint32_t site;
    bool taken; // its shares are here
    uint8_t mask_key[CURVE_KEY_BYTES], share_key[CURVE_KEY_BYTES];
    uint8_t shared[AGREE_SECRET_BYTES]; // of the share keys, for boxes both ways
    uint8_t rho_share[SHAMIR_SCALAR_BYTES],
        b_share[SHAMIR_SCALAR_BYTES]; // of the secrets of `site`
};

struct masking {
    uint8_t rho[SHAMIR_SCALAR_BYTES], b[SHAMIR_SCALAR_BYTES];
    uint8_t rho_seed[SHAMIR_SEED_BYTES], b_seed[SHAMIR_SEED_BYTES];
    uint8_t mask_secret[CURVE_KEY_BYTES], share_secret[CURVE_KEY_BYTES];
    bool revealed;
    // public from here on, except for the shares
    uint8_t mask_key[CURVE_KEY_BYTES], share_key[CURVE_KEY_BYTES], commitment[HASH_BYTES];
    uint32_t self;
    uint16_t suite;
    uint32_t threshold; // shares that restore this site's secrets
    struct graph graph;
    size_t n, max;
    struct holding holding[]; // [max] by ascending site
};

static void derive(uint8_t *to, size_t len, const uint8_t *fresh, const uint8_t *r0,
                   const char *label)
{
    hkdf_derive(to, len, fresh, MESSAGE_NONCE_BYTES, r0, HASH_BYTES, label, strlen(label));
}

static void derive_scalar(uint8_t to[static SHAMIR_SCALAR_BYTES], const uint8_t *fresh,
                          const uint8_t *r0, const char *label)
{
    uint8_t wide[SHAMIR_WIDE_BYTES];

    derive(wide, sizeof wide, fresh, r0, label);
    shamir_reduce(to, wide);
    rng_wipe(wide, sizeof wide);
}

static void draw(struct masking *masking, const uint8_t *r0, const uint8_t *fresh)
{
    derive_scalar(masking->rho, fresh, r0, "rho");
    derive_scalar(masking->b, fresh, r0, "b");
    derive(masking->share_secret, CURVE_KEY_BYTES, fresh, r0, "share-sk");
    derive(masking->rho_seed, SHAMIR_SEED_BYTES, fresh, r0, "split-rho");
    derive(masking->b_seed, SHAMIR_SEED_BYTES, fresh, r0, "split-b");
    agree_mask_key(masking->mask_key, masking->mask_secret, masking->rho, r0);
    curve_public(masking->share_key, masking->share_secret);
    agree_commitment(masking->commitment, r0, masking->self, masking->b);
}

enum choir_err masking_new(const struct masking_terms *terms, const uint8_t r0[static HASH_BYTES],
                           const uint8_t fresh[static MESSAGE_NONCE_BYTES], struct masking **out)
{
    size_t degree = graph_degree(terms->graph, terms->self, terms->v0), max = degree + 1;
    struct masking *masking = locked_new(sizeof *masking + max * sizeof masking->holding[0]);

    if (masking == NULL)
        return CHOIR_ERR_MEMORY;
    masking->self = terms->self;
    masking->suite = terms->suite;
    masking->graph = *terms->graph;
    masking->threshold = graph_share_threshold(terms->graph, terms->quorum, degree);
    masking->max = max;
    draw(masking, r0, fresh);
    *out = masking;
    return CHOIR_OK;
}

void masking_free(struct masking *masking)
{
    locked_free(masking); // wipes
}

void masking_advert(const struct masking *masking, struct msg_advertise *advert)
{
    advert->suite = masking->suite;
    memcpy(advert->mask_key, masking->mask_key, CURVE_KEY_BYTES);
    memcpy(advert->share_key, masking->share_key, CURVE_KEY_BYTES);
    memcpy(advert->commitment, masking->commitment, HASH_BYTES);
}

void masking_meet_nobody(struct masking *masking)
{
    masking->n = 0;
}

enum choir_err masking_meet(struct masking *masking, uint32_t site,
                            const struct msg_advertise *advert)
{
    struct holding *holding;

    if (agree_is_weak(advert->mask_key) || agree_is_weak(advert->share_key))
        return CHOIR_ERR_FORMAT;
    if (site != masking->self && !graph_edge(&masking->graph, masking->self, site))
        return CHOIR_OK;
    assert(masking->n < masking->max);
    assert(masking->n == 0 || masking->holding[masking->n - 1].site < site);
    holding = &masking->holding[masking->n++];
    holding->site = site;
    memcpy(holding->mask_key, advert->mask_key, CURVE_KEY_BYTES);
    memcpy(holding->share_key, advert->share_key, CURVE_KEY_BYTES);
    return CHOIR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, CURVE_KEY_BYTES);
}

bool masking_keys_differ(uint8_t (*keys)[CURVE_KEY_BYTES], size_t n)
{
    qsort(keys, n, sizeof keys[0], by_bytes);
    for (size_t i = 1; i < n; i++)
        if (memcmp(keys[i - 1], keys[i], sizeof keys[0]) == 0)
            return false;
    return true;
}

// The holding of `site`; NULL if it is no neighbour in V1.
static struct holding *find(struct masking *masking, uint32_t site)
{
    size_t from = 0, to = masking->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (masking->holding[middle].site < site)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == masking->n || masking->holding[from].site != site)
        return NULL;
    return &masking->holding[from];
}

struct split {
    uint32_t site[MESSAGE_SITES_MAX];
    struct shamir_share rho[MESSAGE_SITES_MAX], b[MESSAGE_SITES_MAX];
};

static enum choir_err split_both(const struct masking *masking, struct split *split)
{
    size_t n = masking->n, threshold = masking->threshold;
    enum choir_err err;

    for (size_t i = 0; i < n; i++)
        split->site[i] = masking->holding[i].site;
    err =
        shamir_split_seeded(masking->rho, masking->rho_seed, threshold, split->site, n, split->rho);
    if (err == CHOIR_OK)
        err = shamir_split_seeded(masking->b, masking->b_seed, threshold, split->site, n, split->b);
    return err;
}

static enum choir_err seal_for(const struct masking *masking, struct holding *holding,
                               const struct split *split, size_t i, const uint8_t *r1, uint8_t *box)
{
    uint8_t pair[SHAREBOX_PAIR_BYTES], key[AGREE_SECRET_BYTES];
    enum choir_err err = agree_shared(holding->shared, masking->share_secret, holding->share_key);

    if (err == CHOIR_OK) {
        agree_share_key_of(key, holding->shared, r1, masking->self, holding->site);
        memcpy(pair, split->rho[i].bytes, SHAMIR_SCALAR_BYTES);
        memcpy(pair + SHAMIR_SCALAR_BYTES, split->b[i].bytes, SHAMIR_SCALAR_BYTES);
        sharebox_seal(box, pair, key, r1, masking->self, holding->site);
    }
    rng_wipe(pair, sizeof pair);
    rng_wipe(key, sizeof key);
    return err;
}

static void keep_own(struct holding *holding, const struct split *split, size_t i)
{
    memcpy(holding->rho_share, split->rho[i].bytes, SHAMIR_SCALAR_BYTES);
    memcpy(holding->b_share, split->b[i].bytes, SHAMIR_SCALAR_BYTES);
    holding->taken = true;
}

enum choir_err masking_share(struct masking *masking, const uint8_t r1[static HASH_BYTES],
                             struct msg_shares *shares)
{
    struct split *split;
    enum choir_err err;

    if (masking->n < masking->threshold)
        return CHOIR_ERR_REFUSED;
    split = locked_new(sizeof *split);
    if (split == NULL)
        return CHOIR_ERR_MEMORY;
    err = split_both(masking, split);
    shares->suite = masking->suite;
    shares->n = 0;
    for (size_t i = 0; i < masking->n && err == CHOIR_OK; i++) {
        struct holding *holding = &masking->holding[i];

        if (holding->site == masking->self) {
            keep_own(holding, split, i);
            continue;
        }
        shares->cipher[shares->n].to = holding->site;
        err = seal_for(masking, holding, split, i, r1, shares->cipher[shares->n++].bytes);
    }
    locked_free(split);
    rng_wipe(masking->rho, sizeof masking->rho);
    rng_wipe(masking->rho_seed, sizeof masking->rho_seed);
    rng_wipe(masking->b_seed, sizeof masking->b_seed);
    return err;
}

enum choir_err masking_take(struct masking *masking, uint32_t from,
                            const uint8_t r1[static HASH_BYTES],
                            const uint8_t box[static MESSAGE_CIPHER_MAX])
{
    uint8_t pair[SHAREBOX_PAIR_BYTES], key[AGREE_SECRET_BYTES];
    struct holding *holding = find(masking, from);
    enum choir_err err;

    if (holding == NULL || from == masking->self)
        return CHOIR_ERR_REFUSED;
    agree_share_key_of(key, holding->shared, r1, from, masking->self);
    err = sharebox_open(pair, box, key, r1, from, masking->self);
    if (err == CHOIR_OK &&
        (!shamir_is_canonical(pair) || !shamir_is_canonical(pair + SHAMIR_SCALAR_BYTES)))
        err = CHOIR_ERR_FORGED;
    if (err == CHOIR_OK) {
        memcpy(holding->rho_share, pair, SHAMIR_SCALAR_BYTES);
        memcpy(holding->b_share, pair + SHAMIR_SCALAR_BYTES, SHAMIR_SCALAR_BYTES);
        holding->taken = true;
    }
    rng_wipe(pair, sizeof pair);
    rng_wipe(key, sizeof key);
    return err;
}

bool masking_is_neighbour(const struct masking *masking, uint32_t site)
{
    return site != masking->self && graph_edge(&masking->graph, masking->self, site);
}

static enum choir_err add_terms(const struct masking *masking, const struct site_set *v2,
                                const uint8_t *r2, struct maskset *set)
{
    enum choir_err err = CHOIR_OK;
    uint8_t seed[MASK_SEED_BYTES];

    agree_self_seed(seed, masking->b, r2, masking->self);
    maskset_add(set, MASK_ADD, seed);
    for (size_t i = 0; i < masking->n && err == CHOIR_OK; i++) {
        const struct holding *other = &masking->holding[i];

        if (other->site == masking->self || !site_set_has(v2, other->site))
            continue;
        err = agree_pair_seed(seed, masking->mask_secret, other->mask_key, r2, masking->self,
                              other->site);
        if (err == CHOIR_OK)
            maskset_add(set, masking->self < other->site ? MASK_ADD : MASK_SUBTRACT, seed);
    }
    rng_wipe(seed, sizeof seed);
    return err;
}

enum choir_err masking_masks(struct masking *masking, const struct site_set *v2,
                             const uint8_t r2[static HASH_BYTES], struct maskset **out)
{
    struct maskset *set = NULL;
    enum choir_err err = maskset_new(masking->suite, masking->n + 1, &set);

    if (err == CHOIR_OK)
        err = add_terms(masking, v2, r2, set);
    if (err != CHOIR_OK) {
        maskset_free(set);
        return err;
    }
    rng_wipe(masking->b, sizeof masking->b);
    rng_wipe(masking->mask_secret, sizeof masking->mask_secret);
    rng_wipe(masking->share_secret, sizeof masking->share_secret);
    for (size_t i = 0; i < masking->n; i++)
        rng_wipe(masking->holding[i].shared, sizeof masking->holding[i].shared);
    *out = set;
    return CHOIR_OK;
}

enum choir_err masking_reveal(struct masking *masking, const struct site_set *v2,
                              const struct site_set *u, struct msg_unmask *unmask)
{
    if (masking->revealed)
        return CHOIR_ERR_REFUSED;
    masking->revealed = true;
    unmask->suite = masking->suite;
    unmask->n = 0;
    for (size_t i = 0; i < masking->n; i++) {
        struct holding *holding = &masking->holding[i];
        bool survived = site_set_has(u, holding->site);

        if (site_set_has(v2, holding->site)) {
            assert(holding->taken);
            unmask->share[unmask->n].of = holding->site;
            unmask->share[unmask->n].of_mask_key = !survived;
            memcpy(unmask->share[unmask->n++].bytes,
                   survived ? holding->b_share : holding->rho_share, MESSAGE_SHARE_BYTES);
        }
        rng_wipe(holding->rho_share, sizeof holding->rho_share);
        rng_wipe(holding->b_share, sizeof holding->b_share);
    }
    return CHOIR_OK;
}
