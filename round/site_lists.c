/* The lists of an attempt: what the aggregator says that the others said. */
#include <stdlib.h>
#include <string.h>

#include "round/site_state.h"

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HASH_BYTES) == 0;
}

// True if (round, attempt) of the message is that of the attempt this site is in.
static bool current(const struct site *site, const struct incoming *message)
{
    return site->phase != SITE_IN_NONE && message->round == site->open.round &&
           message->attempt == site->open.attempt;
}

// Opens item `i` of a list. In a sparse graph the adverts of sites that are no neighbours are not
// verified, which would take most of the time of a round: nothing is done with their keys, and what
// they hold goes into R1 by its hash. Who is shown another one derives other masks, and no sum
// comes out; headers and consents, on which U and the quorum stand, are verified all.
static bool open_item(const struct site *site, const struct envelope_list *list, size_t i,
                      enum message_kind kind, struct incoming *item)
{
    const struct site_settings *settings = &site->settings;
    const uint8_t *at = list->item[i].at;
    size_t len = list->item[i].len;

    if (kind == MESSAGE_ADVERTISE && settings->peek != NULL && site->open.suite != 0 &&
        !graph_is_complete(&site->graph)) {
        if (settings->peek(settings->open_context, at, len, item) != CHOIR_OK)
            return false;
        if (item->sender != settings->id && !masking_is_neighbour(site->masking, item->sender))
            return true;
    }
    return settings->open(settings->open_context, at, len, item) == CHOIR_OK;
}

// Opens item `i` of a list and checks that it is a message of this attempt, of that kind, from a
// member of `from`, in ascending order. Adds its sender and body hash to site->said.
static bool take_item(struct site *site, const struct envelope_list *list, size_t i,
                      enum message_kind kind, const uint8_t r[static HASH_BYTES],
                      const struct site_set *from, struct incoming *item)
{
    struct said *said = &site->said;

    if (!open_item(site, list, i, kind, item))
        return false;
    if (item->kind != kind || memcmp(item->run, site->plan.run, MESSAGE_RUN_BYTES) != 0 ||
        item->round != site->open.round || item->attempt != site->open.attempt ||
        !same(item->transcript, r) || !site_set_has(from, item->sender) ||
        (i > 0 && item->sender <= said->id[i - 1]))
        return false;
    said->id[i] = item->sender;
    hash_bytes(said->hash[i], item->body, item->body_len);
    said->n = i + 1;
    return true;
}

// The hash that site `id` has in site->said; NULL if it is not there.
static const uint8_t *said_by(const struct site *site, uint32_t id)
{
    for (size_t i = 0; i < site->said.n; i++)
        if (site->said.id[i] == id)
            return site->said.hash[i];
    return NULL;
}

static void set_of_said(const struct site *site, struct site_set *set)
{
    set->n = site->said.n;
    memcpy(set->id, site->said.id, set->n * sizeof set->id[0]);
}

// What a list may not do to this site: leave it out, change what it said, be too short. True if
// it does none of that; else the site leaves the attempt, saying why.
static bool list_keeps_us(struct site *site, enum message_kind kind, const uint8_t *own)
{
    const uint8_t *hash = said_by(site, site->settings.id);
    enum message_code fault = MESSAGE_CODE_NONE;

    if (hash == NULL)
        fault = MESSAGE_CODE_EXCLUDED;
    else if (!same(hash, own))
        fault = MESSAGE_CODE_TRANSCRIPT;
    else if (site->said.n < site->open.minimum)
        fault = MESSAGE_CODE_QUORUM;
    if (fault == MESSAGE_CODE_NONE)
        return true;
    site_refuse(site, kind, fault, message_code_text(fault));
    site_drop_attempt(site);
    return false;
}

static void bad_list(struct site *site, enum message_kind kind)
{
    site_refuse(site, kind, MESSAGE_CODE_TRANSCRIPT,
                "the list holds a message that does not belong there");
}

// The own part of step 2. Leaves the attempt if too few sites could hold shares.
static enum choir_err share(struct site *site)
{
    enum choir_err err = CHOIR_OK;

    site->answer.kind = MESSAGE_SHARES;
    site->answer.shares.suite = 0;
    site->answer.shares.n = 0;
    if (site->masking != NULL)
        err = masking_share(site->masking, site->r[1], &site->answer.shares);
    if (err == CHOIR_ERR_REFUSED) {
        site_refuse(site, MESSAGE_ADVERTS, MESSAGE_CODE_QUORUM,
                    "too few neighbours of this site are there to hold its shares");
        site_drop_attempt(site);
        return CHOIR_OK;
    }
    site->phase = SITE_IN_SHARED;
    if (err == CHOIR_OK)
        err = site_send_phase(site, &site->answer, site->r[1]);
    if (err == CHOIR_OK)
        hash_bytes(site->bundle_hash, site->sent.body, site->sent.len);
    return err;
}

// Takes the adverts of the list into site->said, and their keys into `keys` and the masking.
static bool take_adverts(struct site *site, uint8_t (*keys)[CURVE_KEY_BYTES])
{
    const struct envelope_list *list = &site->message.adverts.adverts;
    const struct msg_advertise *advert = &site->answer.advertise;
    struct incoming item;

    site->said.n = 0;
    if (site->masking != NULL)
        masking_meet_nobody(site->masking);
    for (size_t i = 0; i < list->n; i++) {
        if (!take_item(site, list, i, MESSAGE_ADVERTISE, site->r[0], &site->open.sites, &item) ||
            message_decode(item.kind, item.body, item.body_len, &site->answer) != CHOIR_OK ||
            advert->suite != site->open.suite)
            return false;
        if (site->masking != NULL && masking_meet(site->masking, item.sender, advert) != CHOIR_OK)
            return false;
        memcpy(keys[2 * i], advert->mask_key, CURVE_KEY_BYTES);
        memcpy(keys[2 * i + 1], advert->share_key, CURVE_KEY_BYTES);
    }
    return site->masking == NULL || masking_keys_differ(keys, 2 * list->n);
}

enum choir_err site_on_adverts(struct site *site, const struct incoming *message)
{
    uint8_t(*keys)[CURVE_KEY_BYTES];
    enum choir_err err;
    bool good;

    if (!current(site, message) || site->phase != SITE_IN_ADVERTISED ||
        !same(message->transcript, site->r[0]))
        return CHOIR_OK;
    keys = calloc(2 * site->message.adverts.adverts.n, sizeof keys[0]);
    if (keys == NULL)
        return CHOIR_ERR_MEMORY;
    good = take_adverts(site, keys);
    free(keys);
    if (!good) {
        bad_list(site, MESSAGE_ADVERTS);
        return CHOIR_OK;
    }
    if (!list_keeps_us(site, MESSAGE_ADVERTS, site->advert_hash))
        return CHOIR_OK;
    set_of_said(site, &site->v1);
    err = transcript_next(site->r[1], 1, site->r[0], &site->said);
    return err == CHOIR_OK ? share(site) : err;
}

// The first site of the list whose share is needed and is not there or cannot be read; 0: none.
static uint32_t fault_in_shares(struct site *site)
{
    const struct msg_shares_all *all = &site->message.shares_all;

    for (size_t i = 0; i < all->n && site->masking != NULL; i++) {
        uint32_t from = all->bundle[i].from;

        if (masking_is_neighbour(site->masking, from) &&
            (!all->bundle[i].has_cipher ||
             masking_take(site->masking, from, site->r[1], all->bundle[i].cipher) != CHOIR_OK))
            return from;
    }
    return 0;
}

// The bundles of the list into site->said and V2.
static bool take_bundles(struct site *site)
{
    const struct msg_shares_all *all = &site->message.shares_all;
    struct said *said = &site->said;

    for (size_t i = 0; i < all->n; i++) {
        said->id[i] = all->bundle[i].from;
        memcpy(said->hash[i], all->bundle[i].bundle_hash, HASH_BYTES);
    }
    said->n = all->n;
    set_of_said(site, &site->v2);
    return all->suite == site->open.suite && site_set_within(&site->v2, &site->v1);
}

enum choir_err site_on_shares_all(struct site *site, const struct incoming *message)
{
    enum choir_err err;
    uint32_t liar;

    if (!current(site, message) || site->phase != SITE_IN_SHARED ||
        !same(message->transcript, site->r[1]))
        return CHOIR_OK;
    if (!take_bundles(site)) {
        bad_list(site, MESSAGE_SHARES_ALL);
        return CHOIR_OK;
    }
    if (!list_keeps_us(site, MESSAGE_SHARES_ALL, site->bundle_hash))
        return CHOIR_OK;
    liar = fault_in_shares(site);
    if (liar != 0) {
        site_refuse_about(site, MESSAGE_SHARES_ALL, liar);
        site_drop_attempt(site);
        return CHOIR_OK;
    }
    err = transcript_next(site->r[2], 2, site->r[1], &site->said);
    if (err == CHOIR_OK && site->masking != NULL)
        err = masking_masks(site->masking, &site->v2, site->r[2], &site->masks);
    if (err != CHOIR_OK)
        return err;
    site->phase = SITE_IN_TRAINING;
    site->sent.any = false;
    return site->update_round == site->open.round ? site_mask(site) : CHOIR_OK;
}

// True if the header in site->answer is one that belongs into the sum.
static bool header_fits(const struct site *site, const struct incoming *item)
{
    const struct msg_masked *header = &site->answer.masked;

    return header->suite == site->open.suite && same(header->r2, site->r[2]) &&
           header->site == item->sender && header->n_parameters == site->open.n_parameters &&
           header->lane_bits == site->open.lane_bits;
}

static void consent_to(struct site *site)
{
    struct site_effect *effect;

    set_of_said(site, &site->u);
    site->phase = SITE_IN_CONSENTING;
    site->sent.any = false;
    effect = site_effect_add(site, SITE_DO_STORE_CONSENT);
    memcpy(effect->consent.run, site->plan.run, MESSAGE_RUN_BYTES);
    effect->consent.round = site->open.round;
    memcpy(effect->consent.r2, site->r[2], HASH_BYTES);
    memcpy(effect->consent.r3, site->r[3], HASH_BYTES);
}

// A SURVIVORS when one was consented to already.
static void survivors_again(struct site *site)
{
    if (!same(site->message.survivors.r3, site->r[3]))
        site_refuse(site, MESSAGE_SURVIVORS, MESSAGE_CODE_SECOND_CONSENT,
                    message_code_text(MESSAGE_CODE_SECOND_CONSENT));
    else if (site->phase == SITE_IN_CONSENTED)
        site_send_again(site);
}

enum choir_err site_on_survivors(struct site *site, const struct incoming *message)
{
    const struct msg_survivors *survivors = &site->message.survivors;
    uint8_t r3[HASH_BYTES];
    struct incoming item;
    enum choir_err err;

    if (!current(site, message) || site->phase < SITE_IN_MASKED ||
        !same(message->transcript, site->r[2]))
        return CHOIR_OK;
    if (site->phase > SITE_IN_MASKED) {
        survivors_again(site);
        return CHOIR_OK;
    }
    site->said.n = 0;
    for (size_t i = 0; i < survivors->headers.n; i++) {
        if (!take_item(site, &survivors->headers, i, MESSAGE_MASKED, site->r[2], &site->v2,
                       &item) ||
            message_decode(item.kind, item.body, item.body_len, &site->answer) != CHOIR_OK ||
            !header_fits(site, &item)) {
            bad_list(site, MESSAGE_SURVIVORS);
            return CHOIR_OK;
        }
    }
    if (!list_keeps_us(site, MESSAGE_SURVIVORS, site->header_hash))
        return CHOIR_OK;
    err = transcript_next(r3, 3, site->r[2], &site->said);
    if (err != CHOIR_OK)
        return err;
    if (!same(r3, survivors->r3)) {
        bad_list(site, MESSAGE_SURVIVORS);
        return CHOIR_OK;
    }
    memcpy(site->r[3], r3, HASH_BYTES);
    consent_to(site);
    return CHOIR_OK;
}

enum choir_err site_on_consent_stored(struct site *site, const struct site_event *event)
{
    if (site->phase != SITE_IN_CONSENTING || !same(event->hash, site->r[2]))
        return CHOIR_OK;
    site->answer.kind = MESSAGE_CONSENT;
    memcpy(site->answer.consent.r2, site->r[2], HASH_BYTES);
    memcpy(site->answer.consent.r3, site->r[3], HASH_BYTES);
    site->phase = SITE_IN_CONSENTED;
    return site_send_phase(site, &site->answer, site->r[3]);
}

void site_on_consent_refused(struct site *site, const struct site_event *event)
{
    if (site->phase != SITE_IN_CONSENTING || !same(event->hash, site->r[2]))
        return;
    site_refuse(site, MESSAGE_SURVIVORS, MESSAGE_CODE_SECOND_CONSENT,
                "the store refused the consent");
    site_drop_attempt(site);
}

void site_on_consents(struct site *site, const struct incoming *message)
{
    const struct envelope_list *list = &site->message.consents.consents;
    struct incoming item;

    if (!current(site, message) || site->phase != SITE_IN_CONSENTED ||
        !same(message->transcript, site->r[3]))
        return;
    site->said.n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (!take_item(site, list, i, MESSAGE_CONSENT, site->r[3], &site->u, &item) ||
            message_decode(item.kind, item.body, item.body_len, &site->answer) != CHOIR_OK ||
            !same(site->answer.consent.r2, site->r[2]) ||
            !same(site->answer.consent.r3, site->r[3])) {
            bad_list(site, MESSAGE_CONSENTS);
            return;
        }
    }
    if (site->said.n < site->open.threshold) {
        site_refuse(site, MESSAGE_CONSENTS, MESSAGE_CODE_QUORUM,
                    message_code_text(MESSAGE_CODE_QUORUM));
        return;
    }
    site->phase = SITE_IN_REVEALING;
    site->sent.any = false;
    site->mark.revealed = true;
    site_store_mark(site);
}
