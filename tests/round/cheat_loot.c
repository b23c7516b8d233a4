#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cheat_state.h"
#include "crypto/maskset.h"
#include "crypto/rng.h"
#include "crypto/sharebox.h"

static const uint8_t run_id[MESSAGE_RUN_BYTES] = "the run";
static struct message writing, reading;

static struct spoken *keep(const struct view *view, uint32_t id, const uint8_t *transcript)
{
    uint8_t body[BODY_BYTES];
    struct incoming message = {.kind = (uint16_t)writing.kind,
                               .round = view->open.round,
                               .attempt = view->open.attempt,
                               .sender = id,
                               .body = body};

    memcpy(message.run, run_id, MESSAGE_RUN_BYTES);
    memcpy(message.transcript, transcript, HASH_BYTES);
    if (message_encode(&writing, body, sizeof body, &message.body_len) != CHOIR_OK)
        abort();
    return cheat_keep(&message);
}

static bool read_said(const struct view *view, uint32_t id, enum message_kind kind,
                      const uint8_t *transcript)
{
    const struct spoken *spoken = cheat_find(view, id, kind, transcript);

    if (spoken == NULL)
        return false;
    if (message_decode((uint16_t)kind, spoken->body, spoken->len, &reading) != CHOIR_OK)
        abort();
    return true;
}

void cheat_use_keys(uint32_t id, const uint8_t *mask_key, const uint8_t *share_key)
{
    struct accomplice *accomplice = &cheat.accomplice[id];

    accomplice->has_mask_key = mask_key != NULL;
    accomplice->has_share_key = share_key != NULL;
    if (mask_key != NULL)
        memcpy(accomplice->given_mask_key, mask_key, CURVE_KEY_BYTES);
    if (share_key != NULL)
        memcpy(accomplice->given_share_key, share_key, CURVE_KEY_BYTES);
}

// Draws new secrets for the attempt of `view`, unless that is done.
static void prepare(struct accomplice *accomplice, const struct view *view)
{
    if (accomplice->ready && memcmp(accomplice->r0, view->r[0], HASH_BYTES) == 0)
        return;
    accomplice->ready = true;
    memcpy(accomplice->r0, view->r[0], HASH_BYTES);
    shamir_random(accomplice->rho);
    shamir_random(accomplice->b);
    agree_mask_key(accomplice->mask_key, accomplice->mask_secret, accomplice->rho, view->r[0]);
    curve_keypair(accomplice->share_key, accomplice->share_secret);
}

static void advertise(struct accomplice *accomplice, const struct view *view, uint32_t id)
{
    struct msg_advertise *advert = &writing.advertise;

    memset(advert, 0, sizeof *advert);
    if (view->open.suite == 0)
        return;
    advert->suite = view->open.suite;
    memcpy(advert->mask_key,
           accomplice->has_mask_key ? accomplice->given_mask_key : accomplice->mask_key,
           CURVE_KEY_BYTES);
    memcpy(advert->share_key,
           accomplice->has_share_key ? accomplice->given_share_key : accomplice->share_key,
           CURVE_KEY_BYTES);
    agree_commitment(advert->commitment, view->r[0], id, accomplice->b);
}

static void seal_shares(struct accomplice *accomplice, const struct view *view, uint32_t id)
{
    struct msg_shares *shares = &writing.shares;
    struct shamir_share rho[CHEAT_IDS], b[CHEAT_IDS];
    const struct site_set *v1 = &view->v1;

    shares->suite = view->open.suite;
    shares->n = 0;
    if (view->open.suite == 0)
        return;
    if (shamir_split(accomplice->rho, view->open.threshold, v1->id, v1->n, rho) != CHOIR_OK ||
        shamir_split(accomplice->b, view->open.threshold, v1->id, v1->n, b) != CHOIR_OK)
        return;
    for (size_t i = 0; i < v1->n; i++) {
        uint8_t key[AGREE_SECRET_BYTES], pair[SHAREBOX_PAIR_BYTES];

        if (v1->id[i] == id || !read_said(view, v1->id[i], MESSAGE_ADVERTISE, view->r[0]) ||
            agree_share_key(key, accomplice->share_secret, reading.advertise.share_key, view->r[1],
                            id, v1->id[i]) != CHOIR_OK)
            continue;
        memcpy(pair, rho[i].bytes, SHAMIR_SCALAR_BYTES);
        memcpy(pair + SHAMIR_SCALAR_BYTES, b[i].bytes, SHAMIR_SCALAR_BYTES);
        shares->cipher[shares->n].to = v1->id[i];
        sharebox_seal(shares->cipher[shares->n++].bytes, pair, key, view->r[1], id, v1->id[i]);
    }
}

static struct maskset *no_masks(const struct view *view)
{
    struct maskset *masks = NULL;
    uint16_t suite = view->open.suite == 0 ? MASK_AES256 : view->open.suite;

    if (maskset_new(suite, (size_t)CHEAT_IDS * CHEAT_IDS, &masks) != CHOIR_OK)
        abort();
    return masks;
}

// Applies the masks to the sum, and frees them.
static void apply(struct maskset *masks, struct lanes *sum)
{
    uint8_t bytes[CHEAT_VECTOR_BYTES];
    struct mask *worker = NULL;

    if (mask_open(maskset_suite(masks), &worker) != CHOIR_OK)
        abort();
    for (size_t k = 0; k < CHEAT_LANES; k++)
        (void)put_u32(bytes + 4 * k, sum->at[k]);
    maskset_apply(masks, worker, 0, 32, 0, bytes, sizeof bytes);
    for (size_t k = 0; k < CHEAT_LANES; k++)
        sum->at[k] = get_u32(bytes + 4 * k);
    mask_close(worker);
    maskset_free(masks);
}

// The vector of an accomplice: nothing but its masks.
static void mask_nothing(const struct accomplice *accomplice, const struct view *view, uint32_t id,
                         struct lanes *vector)
{
    struct maskset *masks = no_masks(view);
    uint8_t seed[MASK_SEED_BYTES];

    agree_self_seed(seed, accomplice->b, view->r[2], id);
    maskset_add(masks, MASK_ADD, seed);
    for (size_t i = 0; i < view->v2.n; i++) {
        uint32_t j = view->v2.id[i];

        if (j != id && read_said(view, j, MESSAGE_ADVERTISE, view->r[0]) &&
            agree_pair_seed(seed, accomplice->mask_secret, reading.advertise.mask_key, view->r[2],
                            id, j) == CHOIR_OK)
            maskset_add(masks, id < j ? MASK_ADD : MASK_SUBTRACT, seed);
    }
    memset(vector, 0, sizeof *vector);
    apply(masks, vector);
}

static void announce(const struct view *view, uint32_t id)
{
    struct msg_masked *header = &writing.masked;

    header->suite = view->open.suite;
    memcpy(header->r2, view->r[2], HASH_BYTES);
    header->site = id;
    header->n_parameters = CHEAT_PARAMETERS;
    header->lane_bits = 32;
    header->bytes = CHEAT_VECTOR_BYTES;
    memset(header->root, (int)id, HASH_BYTES);
}

void cheat_accomplice_says(const struct view *view, uint32_t id, enum message_kind kind)
{
    struct accomplice *accomplice = &cheat.accomplice[id];
    const uint8_t *transcript = view->r[0];
    struct spoken *spoken;

    if (kind == MESSAGE_SHARES)
        transcript = view->r[1];
    else if (kind == MESSAGE_MASKED)
        transcript = view->r[2];
    else if (kind == MESSAGE_CONSENT)
        transcript = view->r[3];
    if (cheat_find(view, id, kind, transcript) != NULL)
        return;
    prepare(accomplice, view);
    writing.kind = kind;
    if (kind == MESSAGE_ADVERTISE) {
        advertise(accomplice, view, id);
    } else if (kind == MESSAGE_SHARES) {
        seal_shares(accomplice, view, id);
    } else if (kind == MESSAGE_MASKED) {
        announce(view, id);
    } else {
        memcpy(writing.consent.r2, view->r[2], HASH_BYTES);
        memcpy(writing.consent.r3, view->r[3], HASH_BYTES);
    }
    spoken = keep(view, id, transcript);
    if (kind == MESSAGE_MASKED)
        mask_nothing(accomplice, view, id, &spoken->vector);
}

/* Shares of one secret of one site, by holder. */
struct found {
    size_t n;
    uint32_t holder[CHEAT_IDS];
    struct shamir_share share[CHEAT_IDS];
};

static void add_found(struct found *found, uint32_t holder, const uint8_t *share)
{
    for (size_t i = 0; i < found->n; i++)
        if (found->holder[i] == holder)
            return;
    if (found->n == CHEAT_IDS)
        return;
    found->holder[found->n] = holder;
    memcpy(found->share[found->n++].bytes, share, SHAMIR_SCALAR_BYTES);
}

static void search_unmasks(const struct view *view, uint32_t of, bool of_mask_key,
                           struct found *found)
{
    for (size_t i = 0; i < cheat.n_spoken; i++) {
        const struct spoken *spoken = &cheat.spoken[i];

        if (spoken->kind != MESSAGE_UNMASK || spoken->round != view->open.round ||
            spoken->attempt != view->open.attempt ||
            message_decode(MESSAGE_UNMASK, spoken->body, spoken->len, &reading) != CHOIR_OK)
            continue;
        for (size_t k = 0; k < reading.unmask.n; k++)
            if (reading.unmask.share[k].of == of &&
                reading.unmask.share[k].of_mask_key == of_mask_key)
                add_found(found, spoken->who, reading.unmask.share[k].bytes);
    }
}

// What `of` sealed for accomplices.
static void search_boxes(const struct view *view, uint32_t of, bool of_mask_key,
                         struct found *found)
{
    uint8_t share_key[CURVE_KEY_BYTES];

    if (!read_said(view, of, MESSAGE_ADVERTISE, view->r[0]))
        return;
    memcpy(share_key, reading.advertise.share_key, sizeof share_key);
    if (!read_said(view, of, MESSAGE_SHARES, view->r[1]))
        return;
    for (size_t k = 0; k < reading.shares.n; k++) {
        uint32_t to = reading.shares.cipher[k].to;
        uint8_t key[AGREE_SECRET_BYTES], pair[SHAREBOX_PAIR_BYTES];

        if (cheat_is_honest(to) ||
            agree_share_key(key, cheat.accomplice[to].share_secret, share_key, view->r[1], of,
                            to) != CHOIR_OK ||
            sharebox_open(pair, reading.shares.cipher[k].bytes, key, view->r[1], of, to) !=
                CHOIR_OK)
            continue;
        add_found(found, to, of_mask_key ? pair : pair + SHAMIR_SCALAR_BYTES);
    }
}

static bool is_right(const struct view *view, uint32_t of, bool of_mask_key, const uint8_t *secret)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];

    if (!read_said(view, of, MESSAGE_ADVERTISE, view->r[0]))
        return false;
    if (!of_mask_key)
        return agree_check_commitment(reading.advertise.commitment, view->r[0], of, secret) ==
               CHOIR_OK;
    agree_mask_key(public_key, secret_key, secret, view->r[0]);
    return memcmp(public_key, reading.advertise.mask_key, sizeof public_key) == 0;
}

// b or rho of a site: the attacker's own, or restored from what it has.
static bool secret_of(const struct view *view, uint32_t of, bool of_mask_key, uint8_t *secret)
{
    size_t threshold = view->open.threshold;
    struct found found = {.n = 0};
    struct shamir_set *set = NULL;
    bool good;

    if (!cheat_is_honest(of)) {
        const struct accomplice *accomplice = &cheat.accomplice[of];

        memcpy(secret, of_mask_key ? accomplice->rho : accomplice->b, SHAMIR_SCALAR_BYTES);
        return accomplice->ready && !accomplice->has_mask_key;
    }
    search_unmasks(view, of, of_mask_key, &found);
    search_boxes(view, of, of_mask_key, &found);
    if (found.n < threshold)
        return false;
    if (shamir_set_new(found.holder, threshold, threshold, &set) != CHOIR_OK)
        abort();
    good = shamir_combine(set, found.share, secret) == CHOIR_OK &&
           is_right(view, of, of_mask_key, secret);
    shamir_set_free(set);
    return good;
}

// The seed that i and j share, from the secret of either.
static bool pair_seed(const struct view *view, uint32_t i, uint32_t j, uint8_t *seed)
{
    uint8_t rho[SHAMIR_SCALAR_BYTES], public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];

    if (!secret_of(view, i, true, rho)) {
        uint32_t other = i;

        i = j;
        j = other;
        if (!secret_of(view, i, true, rho))
            return false;
    }
    agree_mask_key(public_key, secret_key, rho, view->r[0]);
    return read_said(view, j, MESSAGE_ADVERTISE, view->r[0]) &&
           agree_pair_seed(seed, secret_key, reading.advertise.mask_key, view->r[2], i, j) ==
               CHOIR_OK;
}

// Takes the pair masks of `id` off that do not cancel within `sites`.
static bool unpair(const struct view *view, uint32_t id, const struct site_set *sites,
                   struct maskset *masks)
{
    uint8_t seed[MASK_SEED_BYTES];

    for (size_t i = 0; i < view->v2.n; i++) {
        uint32_t j = view->v2.id[i];

        if (j == id || site_set_has(sites, j))
            continue;
        if (!pair_seed(view, id, j, seed))
            return false;
        maskset_add(masks, id < j ? MASK_SUBTRACT : MASK_ADD, seed);
    }
    return true;
}

static bool unself(const struct view *view, uint32_t id, struct maskset *masks)
{
    uint8_t secret[SHAMIR_SCALAR_BYTES], seed[MASK_SEED_BYTES];

    if (!secret_of(view, id, false, secret))
        return false;
    agree_self_seed(seed, secret, view->r[2], id);
    maskset_add(masks, MASK_SUBTRACT, seed);
    return true;
}

bool cheat_without_pairs(const struct view *view, uint32_t id, struct lanes *vector)
{
    const struct spoken *spoken = cheat_find(view, id, MESSAGE_MASKED, view->r[2]);
    const struct site_set alone = {.n = 1, .id = {id}};
    struct maskset *masks = no_masks(view);
    bool known = spoken != NULL && unpair(view, id, &alone, masks);

    if (known)
        *vector = spoken->vector;
    else
        memset(vector, 0, sizeof *vector);
    apply(masks, vector);
    return known;
}

bool cheat_learns(const struct view *view, const struct site_set *sites, struct lanes *sum)
{
    struct maskset *masks = no_masks(view);
    bool all = true;

    memset(sum, 0, sizeof *sum);
    for (size_t i = 0; i < sites->n && all; i++) {
        uint32_t id = sites->id[i];
        const struct spoken *spoken = cheat_find(view, id, MESSAGE_MASKED, view->r[2]);

        all = spoken != NULL && (view->open.suite == 0 ||
                                 (unself(view, id, masks) && unpair(view, id, sites, masks)));
        for (size_t k = 0; k < CHEAT_LANES && all; k++)
            sum->at[k] += spoken->vector.at[k];
    }
    apply(masks, sum);
    return all;
}
