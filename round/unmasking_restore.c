#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/agree.h"
#include "crypto/locked.h"
#include "crypto/mask.h"
#include "crypto/maskset.h"
#include "round/unmasking_state.h"

/* Searches for wrong shares that find nothing, before a call gives up searching. Each may take a
 * second, and c sites could make every secret need one; the next answer begins anew. */
enum { SEARCHES_IN_VAIN = 2 };

/* One call of unmasking_restore(). */
struct restoring {
    struct unmasking *unmasking;
    struct unmasking_faults *faults;
    struct shamir_set
        *set; // for the shares of sites[0..threshold): a complete graph needs one only
    uint32_t sites[MESSAGE_SITES_MAX];
    struct shamir_share *picked; // locked; the shares of one secret that are tried first
    size_t threshold;
    size_t failed, in_vain;
};

/* Whose secret it is, for who judges it. */
struct claim {
    const struct unmasking *unmasking;
    const struct member *member;
};

// True if `secret` is what the site of the claim had bound itself to in its advert.
static bool is_right(const uint8_t secret[static SHAMIR_SCALAR_BYTES], void *context)
{
    const struct claim *claim = context;
    const struct member *member = claim->member;
    const uint8_t *r0 = claim->unmasking->terms.r0;
    uint8_t public_key[CURVE_KEY_BYTES];
    uint8_t *secret_key;
    bool right;

    if (member->in_u)
        return agree_check_commitment(member->commitment, r0, member->id, secret) == CHOIR_OK;
    secret_key = locked_new(CURVE_KEY_BYTES);
    if (secret_key == NULL)
        return false;
    agree_mask_key(public_key, secret_key, secret, r0);
    right = memcmp(public_key, member->mask_key, CURVE_KEY_BYTES) == 0;
    locked_free(secret_key);
    return right;
}

static void blame(struct restoring *restoring, enum unmasking_blame blame, uint32_t dealer,
                  uint32_t holder)
{
    struct unmasking_faults *faults = restoring->faults;

    if (faults->n == UNMASKING_FAULTS_MAX)
        faults->n_more++;
    else
        faults->item[faults->n++] =
            (struct unmasking_fault){.blame = blame, .dealer = dealer, .holder = holder};
}

static uint32_t holder_of(const struct unmasking *unmasking, const struct member *member, size_t k)
{
    return unmasking->member[unmasking->holder[member->first + k]].id;
}

// Adds the shares of `member` whose holders have lied, or have not, to the n that are picked.
// False if one of them was not picked there in the call before.
static bool pick(struct restoring *restoring, const struct member *member, bool lied, size_t *n)
{
    const struct unmasking *unmasking = restoring->unmasking;
    bool same = true;

    for (size_t k = 0; k < member->n_shares && *n < member->threshold; k++) {
        const struct member *holder = &unmasking->member[unmasking->holder[member->first + k]];

        if (holder->lied != lied)
            continue;
        same = same && restoring->sites[*n] == holder->id;
        restoring->sites[*n] = holder->id;
        restoring->picked[(*n)++] = unmasking->share[member->first + k];
    }
    return same;
}

// Picks `threshold` shares of `member`, those of liars last, and has the set for them; the one at
// hand if it fits.
static enum choir_err have_set(struct restoring *restoring, const struct member *member)
{
    size_t n = 0;
    bool fits = restoring->set != NULL && restoring->threshold == member->threshold;

    fits = pick(restoring, member, false, &n) && fits;
    fits = pick(restoring, member, true, &n) && fits;
    if (fits)
        return CHOIR_OK;
    shamir_set_free(restoring->set);
    restoring->set = NULL;
    restoring->threshold = member->threshold;
    return shamir_set_new(restoring->sites, member->threshold, member->threshold, &restoring->set);
}

// Some of the shares are wrong, or all of them are: looks for what they can still tell.
static enum choir_err search(struct restoring *restoring, struct member *member, uint8_t *secret)
{
    const struct unmasking *unmasking = restoring->unmasking;
    struct claim claim = {.unmasking = unmasking, .member = member};
    size_t n = member->n_shares, at_least = unmasking->terms.collusion;
    const struct shamir_share *shares = unmasking->share + member->first;
    uint32_t sites[MESSAGE_SITES_MAX];
    bool bad[MESSAGE_SITES_MAX];
    struct shamir_set *all = NULL;
    enum choir_err err;

    for (size_t k = 0; k < n; k++)
        sites[k] = holder_of(unmasking, member, k);
    err = shamir_set_new(sites, n, member->threshold, &all);
    if (err != CHOIR_OK)
        return err;
    if (at_least == 0)
        at_least = 1;
    // Another polynomial than the true one meets it in T - 1 points at most, so n - T + 1 holders
    // would have had to lie together.
    if (n >= member->threshold + at_least && shamir_is_consistent(all, shares)) {
        blame(restoring, UNMASKING_DEALER, member->id, 0);
        restoring->failed++;
        goto out;
    }
    err = shamir_recover(all, shares, is_right, &claim, secret, bad);
    if (err == CHOIR_OK) {
        member->restored = true;
        for (size_t k = 0; k < n; k++) {
            if (!bad[k])
                continue;
            blame(restoring, UNMASKING_HOLDER, member->id, sites[k]);
            unmasking->member[unmasking->holder[member->first + k]].lied = true;
        }
    } else if (err == CHOIR_ERR_FORGED) {
        blame(restoring, UNMASKING_UNCLEAR, member->id, 0);
        restoring->failed++;
        restoring->in_vain++;
        err = CHOIR_OK;
    }
out:
    shamir_set_free(all);
    return err;
}

static enum choir_err restore_one(struct restoring *restoring, struct member *member)
{
    const struct unmasking *unmasking = restoring->unmasking;
    struct claim claim = {.unmasking = unmasking, .member = member};
    uint8_t *secret = unmasking->secret[member - unmasking->member].bytes;
    enum choir_err err = have_set(restoring, member);

    if (err != CHOIR_OK)
        return err;
    member->n_tried = member->n_shares;
    if (shamir_combine(restoring->set, restoring->picked, secret) == CHOIR_OK &&
        is_right(secret, &claim)) {
        member->restored = true;
        return CHOIR_OK;
    }
    if (restoring->in_vain == SEARCHES_IN_VAIN) {
        restoring->failed++;
        return CHOIR_OK;
    }
    return search(restoring, member, secret);
}

enum choir_err unmasking_restore(struct unmasking *unmasking, size_t *failed,
                                 struct unmasking_faults *faults)
{
    struct restoring *restoring = calloc(1, sizeof *restoring);
    enum choir_err err = CHOIR_OK;

    *failed = 0;
    faults->n = faults->n_more = 0;
    if (restoring == NULL)
        return CHOIR_ERR_MEMORY;
    restoring->unmasking = unmasking;
    restoring->faults = faults;
    restoring->picked = locked_new(MESSAGE_SITES_MAX * sizeof *restoring->picked);
    if (restoring->picked == NULL)
        err = CHOIR_ERR_MEMORY;
    for (size_t i = 0; err == CHOIR_OK && i < unmasking->n; i++) {
        struct member *member = &unmasking->member[i];

        if (!member->in_v2 || member->restored)
            continue;
        if (member->n_shares >= member->threshold && member->n_shares > member->n_tried)
            err = restore_one(restoring, member);
        else
            restoring->failed++;
    }
    *failed = restoring->failed;
    shamir_set_free(restoring->set);
    locked_free(restoring->picked);
    free(restoring);
    return err;
}

// Pair masks that a site of U has put on for `gone`, which took none off.
static enum choir_err add_pairs(const struct unmasking *unmasking, const struct member *gone,
                                struct maskset *masks)
{
    size_t at = (size_t)(gone - unmasking->member);
    struct {
        uint8_t secret_key[CURVE_KEY_BYTES], seed[MASK_SEED_BYTES];
    } *room = locked_new(sizeof *room);
    uint8_t public_key[CURVE_KEY_BYTES];
    enum choir_err err = CHOIR_OK;

    if (room == NULL)
        return CHOIR_ERR_MEMORY;
    agree_mask_key(public_key, room->secret_key, unmasking->secret[at].bytes, unmasking->terms.r0);
    for (size_t i = 0; err == CHOIR_OK && i < unmasking->n; i++) {
        const struct member *other = &unmasking->member[i];

        if (!other->in_u || !unmasking_edge(unmasking, at, i))
            continue;
        err = agree_pair_seed(room->seed, room->secret_key, other->mask_key, unmasking->r2,
                              gone->id, other->id);
        // the lower id of the two adds, the higher one subtracts
        if (err == CHOIR_OK)
            maskset_add(masks, gone->id > other->id ? MASK_SUBTRACT : MASK_ADD, room->seed);
    }
    locked_free(room);
    return err;
}

static enum choir_err add_self(const struct unmasking *unmasking, const struct member *member,
                               struct maskset *masks)
{
    uint8_t *seed = locked_new(MASK_SEED_BYTES);

    if (seed == NULL)
        return CHOIR_ERR_MEMORY;
    agree_self_seed(seed, unmasking->secret[member - unmasking->member].bytes, unmasking->r2,
                    member->id);
    maskset_add(masks, MASK_SUBTRACT, seed);
    locked_free(seed);
    return CHOIR_OK;
}

static size_t n_terms(const struct unmasking *unmasking)
{
    size_t n = 0;

    for (size_t i = 0; i < unmasking->n; i++) {
        const struct member *member = &unmasking->member[i];

        n += member->in_u ? 1 : 0;
        for (size_t j = 0; member->in_v2 && !member->in_u && j < unmasking->n; j++)
            n += unmasking->member[j].in_u && unmasking_edge(unmasking, i, j) ? 1 : 0;
    }
    return n;
}

enum choir_err unmasking_harvest(const struct unmasking *unmasking, struct revealed *revealed,
                                 size_t *n, struct maskset **masks)
{
    struct maskset *set = NULL;
    enum choir_err err;

    *n = 0;
    for (size_t i = 0; i < unmasking->n; i++) {
        const struct member *member = &unmasking->member[i];

        if (!member->in_v2)
            continue;
        if (!member->restored)
            return CHOIR_ERR_MISSING;
        revealed[*n].id = member->id;
        revealed[*n].of_mask_key = !member->in_u;
        memcpy(revealed[(*n)++].secret, unmasking->secret[i].bytes, SHAMIR_SCALAR_BYTES);
    }
    err = maskset_new(unmasking->terms.suite, n_terms(unmasking), &set);
    for (size_t i = 0; err == CHOIR_OK && i < unmasking->n; i++) {
        const struct member *member = &unmasking->member[i];

        if (member->in_u)
            err = add_self(unmasking, member, set);
        else if (member->in_v2)
            err = add_pairs(unmasking, member, set);
    }
    if (err == CHOIR_OK)
        *masks = set;
    else
        maskset_free(set);
    return err;
}

enum choir_err unmasking_recheck(struct unmasking *unmasking, const struct revealed *revealed,
                                 size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < unmasking->n; i++) {
        struct member *member = &unmasking->member[i];
        struct claim claim = {.unmasking = unmasking, .member = member};

        if (!member->in_v2)
            continue;
        if (at == n || revealed[at].id != member->id || revealed[at].of_mask_key == member->in_u)
            return CHOIR_ERR_FORMAT;
        if (!is_right(revealed[at].secret, &claim))
            return CHOIR_ERR_FORGED;
        memcpy(unmasking->secret[i].bytes, revealed[at++].secret, SHAMIR_SCALAR_BYTES);
        member->restored = true;
    }
    return at == n ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

enum choir_err revealed_hash(uint8_t hash[static HASH_BYTES], const uint8_t r3[static HASH_BYTES],
                             const struct revealed *revealed, size_t n)
{
    static const char label[] = "CHOIR-SA1/revealed";
    struct hash_stream *stream = NULL;
    enum choir_err err = hash_new(&stream);

    if (err != CHOIR_OK)
        return err;
    hash_add(stream, label, sizeof label - 1);
    hash_add(stream, r3, HASH_BYTES);
    for (size_t i = 0; i < n; i++) {
        uint8_t head[5];

        put_u32(head, revealed[i].id);
        head[4] = revealed[i].of_mask_key ? 1 : 0;
        hash_add(stream, head, sizeof head);
        hash_add(stream, revealed[i].secret, sizeof revealed[i].secret);
    }
    hash_end(stream, hash);
    hash_free(stream);
    return CHOIR_OK;
}
