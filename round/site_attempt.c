#include <string.h>

#include "round/quorum.h"
#include "round/site_state.h"

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HASH_BYTES) == 0;
}

// Keeps site->answer as the message of this phase and sends it.
static void send_phase(struct site *site, const uint8_t transcript[static HASH_BYTES])
{
    struct site_sent *sent = &site->sent;

    sent->any =
        message_encode(&site->answer, sent->body, sizeof sent->body, &sent->len) == CHOIR_OK;
    sent->kind = site->answer.kind;
    memcpy(sent->transcript, transcript, HASH_BYTES);
    site_send_again(site);
}

static void upload(struct site *site)
{
    struct site_effect *effect = site_effect_add(site, SITE_DO_UPLOAD);

    memcpy(effect->upload.run, site->plan.run, MESSAGE_RUN_BYTES);
    effect->upload.round = site->open.round;
    effect->upload.attempt = site->open.attempt;
    effect->upload.update = site->update;
}

void site_send_again(struct site *site)
{
    struct site_sent *sent = &site->sent;
    struct site_effect *effect;

    if (!sent->any)
        return;
    sent->at_ms = site->now_ms;
    effect = site_effect_add(site, SITE_DO_SEND);
    effect->send.kind = sent->kind;
    memcpy(effect->send.run, site->plan.run, MESSAGE_RUN_BYTES);
    effect->send.round = site->open.round;
    effect->send.attempt = site->open.attempt;
    memcpy(effect->send.transcript, sent->transcript, HASH_BYTES);
    effect->send.body = sent->body;
    effect->send.body_len = sent->len;
    if (site->phase == SITE_IN_MASKED && !site->uploaded)
        upload(site);
}

void site_drop_attempt(struct site *site)
{
    if (site->phase == SITE_IN_MASKED && !site->uploaded)
        site_effect_add(site, SITE_DO_STOP_UPLOAD);
    site->phase = SITE_IN_NONE;
    site->sent.any = false;
}

void site_fetch(struct site *site)
{
    struct site_effect *effect = site_effect_add(site, SITE_DO_FETCH_MODEL);

    memcpy(effect->hash, site->open.model_hash, HASH_BYTES);
    site->fetching = true;
    site->fetched_ms = site->now_ms;
}

static void store_mark(struct site *site)
{
    site_effect_add(site, SITE_DO_STORE_MARK)->mark = site->mark;
}

// Trains as soon as the attempt is marked and the model is here; once per round.
static void train(struct site *site)
{
    struct site_effect *effect;

    if (site->phase <= SITE_IN_MARKING || !site->model_ready || site->training ||
        site->update_round == site->open.round)
        return;
    site->training = true;
    effect = site_effect_add(site, SITE_DO_TRAIN);
    memcpy(effect->train.run, site->plan.run, MESSAGE_RUN_BYTES);
    effect->train.round = site->open.round;
    memcpy(effect->train.plan_hash, site->plan.plan_hash, HASH_BYTES);
    memcpy(effect->train.model_hash, site->open.model_hash, HASH_BYTES);
}

// True if (round, attempt) of the message is that of the attempt this site is in.
static bool current(const struct site *site, const struct incoming *message)
{
    return site->phase != SITE_IN_NONE && message->round == site->open.round &&
           message->attempt == site->open.attempt;
}

static bool names_match(const struct site *site, const struct incoming *message)
{
    const struct msg_round_open *open = &site->message.round_open;

    return memcmp(open->run, site->plan.run, MESSAGE_RUN_BYTES) == 0 &&
           open->round == message->round && open->attempt == message->attempt &&
           same(message->transcript, site->settings.roster_hash);
}

static bool plan_matches(const struct site *site)
{
    const struct msg_round_open *open = &site->message.round_open;

    return site->plan.accepted && same(open->plan_hash, site->plan.plan_hash) &&
           open->n_parameters == site->plan.n_parameters &&
           open->lane_bits == site->plan.lane_bits && open->round <= site->plan.rounds &&
           open->suite == 0;
}

// The bounds of V0, T and U_min; within a round T and U_min are fixed and V0 only shrinks.
static bool quorum_holds(const struct site *site)
{
    const struct msg_round_open *open = &site->message.round_open;
    const struct site_settings *settings = &site->settings;
    uint32_t n = (uint32_t)open->sites.n;
    uint32_t asked = site->plan.min_sites > settings->minimum_cohort ? site->plan.min_sites
                                                                     : settings->minimum_cohort;

    if (!site_set_within(&open->sites, &settings->roster) ||
        open->threshold < quorum_threshold(n, settings->collusion) ||
        open->minimum < quorum_minimum(n, settings->collusion, asked, open->suite > 0) || open->minimum > n ||
        open->threshold > open->minimum)
        return false;
    if (open->round != site->mark.round)
        return true;
    if (open->threshold != site->mark.threshold || open->minimum != site->mark.minimum)
        return false;
    return site->open.round != open->round || site_set_within(&open->sites, &site->open.sites);
}

static bool log_grows(const struct site *site)
{
    const struct tree_head *head = &site->message.round_open.log;

    return head->size > site->log.size ||
           (head->size == site->log.size &&
            (site->log.size == 0 || same(head->root, site->log.root)));
}

static bool above_mark(const struct site *site)
{
    const struct msg_round_open *open = &site->message.round_open;

    return open->round > site->mark.round ||
           (open->round == site->mark.round && open->attempt > site->mark.attempt);
}

// Why the ROUND_OPEN in site->message is refused; NONE if it is not.
static enum message_code fault_in_open(const struct site *site, const struct incoming *message)
{
    const struct msg_round_open *open = &site->message.round_open;

    if (!names_match(site, message))
        return MESSAGE_CODE_TRANSCRIPT;
    if (!above_mark(site))
        return MESSAGE_CODE_STALE;
    if (open->round == site->mark.round && site->mark.revealed)
        return MESSAGE_CODE_LOST;
    if (!plan_matches(site))
        return MESSAGE_CODE_NOT_APPROVED;
    if (!site_set_has(&open->sites, site->settings.id))
        return MESSAGE_CODE_EXCLUDED;
    if (!quorum_holds(site))
        return MESSAGE_CODE_QUORUM;
    return log_grows(site) ? MESSAGE_CODE_NONE : MESSAGE_CODE_TRANSCRIPT;
}

static void begin_attempt(struct site *site, const uint8_t r0[static HASH_BYTES])
{
    site_drop_attempt(site);
    if (site->open.round != site->message.round_open.round)
        site->training = false;
    site->open = site->message.round_open;
    site->log = site->open.log;
    memcpy(site->r[0], r0, HASH_BYTES);
    memcpy(site->mark.run, site->plan.run, MESSAGE_RUN_BYTES);
    site->mark.round = site->open.round;
    site->mark.attempt = site->open.attempt;
    site->mark.threshold = site->open.threshold;
    site->mark.minimum = site->open.minimum;
    memcpy(site->mark.r0, r0, HASH_BYTES);
    site->mark.revealed = false;
    site->phase = SITE_IN_MARKING;
    site->uploaded = false;
    store_mark(site);
    site->model_ready = site->model_ready && same(site->model, site->open.model_hash);
    if (!site->model_ready)
        site_fetch(site);
}

enum choir_err site_on_round_open(struct site *site, const struct incoming *message)
{
    uint8_t r0[HASH_BYTES];
    enum message_code fault;
    enum choir_err err =
        transcript_open(r0, site->settings.roster_hash, message->body, message->body_len);

    if (err != CHOIR_OK)
        return err;
    if (message->round == site->mark.round && message->attempt == site->mark.attempt &&
        same(r0, site->mark.r0)) {
        if (site->phase == SITE_IN_ADVERTISED)
            site_send_again(site);
        return CHOIR_OK; // the same one again
    }
    fault = fault_in_open(site, message);
    if (fault == MESSAGE_CODE_NONE)
        begin_attempt(site, r0);
    else
        site_refuse_at(site, MESSAGE_ROUND_OPEN, message->round, message->attempt, fault,
                       message_code_text(fault));
    return CHOIR_OK;
}

static void advertise(struct site *site)
{
    site->answer.kind = MESSAGE_ADVERTISE;
    memset(&site->answer.advertise, 0, sizeof site->answer.advertise);
    site->phase = SITE_IN_ADVERTISED;
    send_phase(site, site->r[0]);
    hash_bytes(site->advert_hash, site->sent.body, site->sent.len);
}

static void share(struct site *site)
{
    site->answer.kind = MESSAGE_SHARES;
    site->answer.shares.suite = 0;
    site->answer.shares.n = 0;
    site->phase = SITE_IN_SHARED;
    send_phase(site, site->r[1]);
    hash_bytes(site->bundle_hash, site->sent.body, site->sent.len);
}

static void masked(struct site *site)
{
    struct msg_masked *header = &site->answer.masked;

    site->answer.kind = MESSAGE_MASKED;
    header->suite = 0;
    memcpy(header->r2, site->r[2], HASH_BYTES);
    header->site = site->settings.id;
    header->n_parameters = site->open.n_parameters;
    header->lane_bits = site->open.lane_bits;
    header->bytes = site->update.bytes;
    memcpy(header->root, site->update.root, HASH_BYTES);
    site->phase = SITE_IN_MASKED;
    send_phase(site, site->r[2]);
    hash_bytes(site->header_hash, site->sent.body, site->sent.len);
}

void site_on_mark_stored(struct site *site, const struct site_event *event)
{
    if (event->round != site->open.round || event->attempt != site->open.attempt)
        return;
    if (site->phase == SITE_IN_MARKING) {
        advertise(site);
        train(site);
    } else if (site->phase == SITE_IN_REVEALING) {
        site->answer.kind = MESSAGE_UNMASK;
        site->answer.unmask.suite = 0;
        site->answer.unmask.n = 0;
        site->phase = SITE_IN_UNMASKED;
        send_phase(site, site->r[3]);
    }
}

void site_on_mark_refused(struct site *site, const struct site_event *event)
{
    if (event->round != site->open.round || event->attempt != site->open.attempt ||
        (site->phase != SITE_IN_MARKING && site->phase != SITE_IN_REVEALING))
        return;
    if (event->code == MESSAGE_CODE_NONE || event->text == NULL)
        site_refuse(site, MESSAGE_ROUND_OPEN, MESSAGE_CODE_STALE,
                    "the store refused the mark of this attempt");
    else
        site_refuse(site, MESSAGE_ROUND_OPEN, event->code, event->text);
    site_drop_attempt(site);
}

void site_on_model_ready(struct site *site, const struct site_event *event)
{
    if (!same(event->hash, site->open.model_hash))
        return;
    site->fetching = false;
    site->model_ready = true;
    memcpy(site->model, event->hash, HASH_BYTES);
    train(site);
}

// It could not be fetched, or is gone when it is needed for training: fetched again later.
void site_on_model_failed(struct site *site, const struct site_event *event)
{
    if (!same(event->hash, site->open.model_hash))
        return;
    site->fetching = false;
    site->model_ready = false;
    site->training = false;
    site->fetched_ms = site->now_ms;
}

void site_on_update_ready(struct site *site, const struct site_event *event)
{
    if (event->round != site->open.round || !site->training)
        return;
    site->training = false;
    site->update = event->update;
    site->update_round = event->round;
    if (site->phase == SITE_IN_TRAINING)
        masked(site);
}

void site_on_update_refused(struct site *site, const struct site_event *event)
{
    if (event->round != site->open.round || !site->training)
        return;
    site->training = false;
    site_refuse(site, MESSAGE_ROUND_OPEN, event->code,
                event->text != NULL ? event->text : message_code_text(event->code));
    site_drop_attempt(site);
}

// Opens item `i` of a list and checks that it is a message of this attempt, of that kind, from a
// member of `from`, in ascending order. Adds its sender and body hash to site->said.
static bool take_item(struct site *site, const struct envelope_list *list, size_t i,
                      enum message_kind kind, const uint8_t r[static HASH_BYTES],
                      const struct site_set *from, struct incoming *item)
{
    struct said *said = &site->said;

    if (site->settings.open(site->settings.open_context, list->item[i].at, list->item[i].len,
                            item) != CHOIR_OK)
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

enum choir_err site_on_adverts(struct site *site, const struct incoming *message)
{
    const struct envelope_list *list = &site->message.adverts.adverts;
    struct incoming item;
    enum choir_err err;

    if (!current(site, message) || site->phase != SITE_IN_ADVERTISED ||
        !same(message->transcript, site->r[0]))
        return CHOIR_OK;
    site->said.n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (!take_item(site, list, i, MESSAGE_ADVERTISE, site->r[0], &site->open.sites, &item) ||
            message_decode(item.kind, item.body, item.body_len, &site->answer) != CHOIR_OK ||
            site->answer.advertise.suite != site->open.suite) {
            bad_list(site, MESSAGE_ADVERTS);
            return CHOIR_OK;
        }
    }
    if (!list_keeps_us(site, MESSAGE_ADVERTS, site->advert_hash))
        return CHOIR_OK;
    set_of_said(site, &site->v1);
    err = transcript_next(site->r[1], 1, site->r[0], &site->said);
    if (err == CHOIR_OK)
        share(site);
    return err;
}

enum choir_err site_on_shares_all(struct site *site, const struct incoming *message)
{
    const struct msg_shares_all *all = &site->message.shares_all;
    struct said *said = &site->said;
    enum choir_err err;

    if (!current(site, message) || site->phase != SITE_IN_SHARED ||
        !same(message->transcript, site->r[1]))
        return CHOIR_OK;
    for (size_t i = 0; i < all->n; i++) {
        said->id[i] = all->bundle[i].from;
        memcpy(said->hash[i], all->bundle[i].bundle_hash, HASH_BYTES);
    }
    said->n = all->n;
    set_of_said(site, &site->v2);
    if (all->suite != site->open.suite || !site_set_within(&site->v2, &site->v1)) {
        bad_list(site, MESSAGE_SHARES_ALL);
        return CHOIR_OK;
    }
    if (!list_keeps_us(site, MESSAGE_SHARES_ALL, site->bundle_hash))
        return CHOIR_OK;
    err = transcript_next(site->r[2], 2, site->r[1], said);
    if (err != CHOIR_OK)
        return err;
    site->phase = SITE_IN_TRAINING;
    site->sent.any = false;
    if (site->update_round == site->open.round)
        masked(site);
    return CHOIR_OK;
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

void site_on_consent_stored(struct site *site, const struct site_event *event)
{
    if (site->phase != SITE_IN_CONSENTING || !same(event->hash, site->r[2]))
        return;
    site->answer.kind = MESSAGE_CONSENT;
    memcpy(site->answer.consent.r2, site->r[2], HASH_BYTES);
    memcpy(site->answer.consent.r3, site->r[3], HASH_BYTES);
    site->phase = SITE_IN_CONSENTED;
    send_phase(site, site->r[3]);
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
    store_mark(site);
}
