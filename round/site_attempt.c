#include <assert.h>
#include <string.h>

#include "crypto/locked.h"
#include "round/quorum.h"
#include "round/site_state.h"

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HASH_BYTES) == 0;
}

// Bytes that the body of `message` takes at most.
static size_t room_needed(const struct message *message)
{
    if (message->kind == MESSAGE_SHARES)
        return 4 + message->shares.n * (4 + MESSAGE_CIPHER_MAX);
    if (message->kind == MESSAGE_UNMASK)
        return 4 + message->unmask.n * (4 + 1 + MESSAGE_SHARE_BYTES);
    return SITE_OWN_BYTES;
}

// Memory for the message that is sent until there is an answer; what held the one before stays
// until the next step, as an effect of this one may point there. Shares lie in locked memory.
static uint8_t *room_for(struct site *site, const struct message *message, size_t *max)
{
    bool secret = message->kind == MESSAGE_UNMASK && message->unmask.n > 0;

    site_retire(site, site->sent.large);
    site->sent.large = NULL;
    *max = room_needed(message);
    if (*max <= sizeof site->sent.own && !secret)
        return site->sent.own;
    site->sent.large = locked_new(*max);
    return site->sent.large;
}

enum choir_err site_send_phase(struct site *site, const struct message *message,
                               const uint8_t transcript[static HASH_BYTES])
{
    struct site_sent *sent = &site->sent;
    size_t max;

    sent->any = false;
    sent->body = room_for(site, message, &max);
    if (sent->body == NULL)
        return CHOIR_ERR_MEMORY;
    sent->any = message_encode(message, sent->body, max, &sent->len) == CHOIR_OK;
    assert(sent->any);
    sent->kind = message->kind;
    memcpy(sent->transcript, transcript, HASH_BYTES);
    site_send_again(site);
    return CHOIR_OK;
}

static void upload(struct site *site)
{
    struct site_effect *effect = site_effect_add(site, SITE_DO_UPLOAD);

    memcpy(effect->upload.run, site->plan.run, MESSAGE_RUN_BYTES);
    effect->upload.round = site->open.round;
    effect->upload.attempt = site->open.attempt;
    effect->upload.update = site->leaving;
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
    if (site->phase == SITE_IN_MASKING || (site->phase == SITE_IN_MASKED && !site->uploaded))
        site_effect_add(site, SITE_DO_STOP_UPLOAD);
    site->phase = SITE_IN_NONE;
    site_forget(site);
}

void site_fetch(struct site *site)
{
    struct site_effect *effect = site_effect_add(site, SITE_DO_FETCH_MODEL);

    memcpy(effect->hash, site->open.model_hash, HASH_BYTES);
    site->fetching = true;
    site->fetched_ms = site->now_ms;
}

void site_store_mark(struct site *site)
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
           open->suite == site->plan.suite;
}

static bool suite_is_known(const struct site *site)
{
    uint16_t suite = site->message.round_open.suite;

    return suite == 0 || (site->settings.suites >> suite & 1) != 0;
}

static void mark_asked(struct mark *mark, const struct site_set *v0)
{
    memset(mark->asked, 0, sizeof mark->asked);
    for (size_t i = 0; i < v0->n; i++)
        mark->asked[v0->id[i] / 8] |= (uint8_t)(1U << v0->id[i] % 8);
}

// True if the attempt of the mark had asked all of `v0`. The mark tells it also after a restart:
// else a site that was in an attempt which others have opened could be asked again among new ones.
static bool were_asked(const struct mark *mark, const struct site_set *v0)
{
    for (size_t i = 0; i < v0->n; i++)
        if ((mark->asked[v0->id[i] / 8] >> v0->id[i] % 8 & 1) == 0)
            return false;
    return true;
}

static bool ids_fit_a_mark(const struct site_set *v0)
{
    return v0->n == 0 || v0->id[v0->n - 1] / 8 < MARK_ASKED_BYTES;
}

// The bounds of V0, T and U_min; within a round T and U_min are fixed and V0 only shrinks.
static bool quorum_holds(const struct site *site)
{
    const struct msg_round_open *open = &site->message.round_open;
    const struct site_settings *settings = &site->settings;
    uint32_t n = (uint32_t)open->sites.n;
    uint32_t asked = site->plan.min_sites > settings->minimum_cohort ? site->plan.min_sites
                                                                     : settings->minimum_cohort;

    if (!site_set_within(&open->sites, &settings->roster) || !ids_fit_a_mark(&open->sites) ||
        open->threshold < quorum_threshold(n, settings->collusion) ||
        open->minimum < quorum_minimum(n, settings->collusion, asked, open->suite > 0) ||
        open->minimum > n || open->threshold > open->minimum)
        return false;
    if (open->round != site->mark.round)
        return true;
    return open->threshold == site->mark.threshold && open->minimum == site->mark.minimum &&
           were_asked(&site->mark, &open->sites);
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
static enum message_code fault_in_open(struct site *site, const struct incoming *message)
{
    const struct msg_round_open *open = &site->message.round_open;

    if (!names_match(site, message))
        return MESSAGE_CODE_TRANSCRIPT;
    if (!above_mark(site))
        return MESSAGE_CODE_STALE;
    if (open->round == site->mark.round && site->mark.revealed)
        return MESSAGE_CODE_LOST;
    // The update of a round is made once: on a model that only some sites saw in another attempt,
    // the sum of all would be theirs.
    if (open->round == site->mark.round && !same(open->model_hash, site->mark.model_hash))
        return MESSAGE_CODE_TRANSCRIPT;
    if (!plan_matches(site))
        return MESSAGE_CODE_NOT_APPROVED;
    if (!suite_is_known(site))
        return MESSAGE_CODE_POLICY;
    if (!site_set_has(&open->sites, site->settings.id))
        return MESSAGE_CODE_EXCLUDED;
    if (!quorum_holds(site))
        return MESSAGE_CODE_QUORUM;
    if (!log_grows(site))
        return MESSAGE_CODE_TRANSCRIPT;
    // Last, as it overwrites the graph of the attempt that this one ends.
    if (open->suite != 0 && graph_make(&site->settings.graph, open->run, open->round, &open->sites,
                                       &site->graph) != CHOIR_OK)
        return MESSAGE_CODE_QUORUM; // more sites than a roster without nonces allows
    return MESSAGE_CODE_NONE;
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
    memcpy(site->mark.model_hash, site->open.model_hash, HASH_BYTES);
    mark_asked(&site->mark, &site->open.sites);
    site->mark.revealed = false;
    site->phase = SITE_IN_MARKING;
    site->uploaded = false;
    site_store_mark(site);
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

// `fresh`: what the secrets of the attempt are made of.
static enum choir_err advertise(struct site *site, const uint8_t *fresh)
{
    const struct masking_terms terms = {.self = site->settings.id,
                                        .suite = site->open.suite,
                                        .quorum = site->open.threshold,
                                        .graph = &site->graph,
                                        .v0 = &site->open.sites};
    enum choir_err err = CHOIR_OK;

    site->answer.kind = MESSAGE_ADVERTISE;
    memset(&site->answer.advertise, 0, sizeof site->answer.advertise);
    if (site->open.suite != 0)
        err = masking_new(&terms, site->r[0], fresh, &site->masking);
    if (err != CHOIR_OK)
        return err;
    if (site->masking != NULL)
        masking_advert(site->masking, &site->answer.advertise);
    site->phase = SITE_IN_ADVERTISED;
    err = site_send_phase(site, &site->answer, site->r[0]);
    if (err == CHOIR_OK)
        hash_bytes(site->advert_hash, site->sent.body, site->sent.len);
    return err;
}

// The vector is ready to leave: its header goes first.
static enum choir_err masked(struct site *site)
{
    struct msg_masked *header = &site->answer.masked;
    enum choir_err err;

    site->answer.kind = MESSAGE_MASKED;
    header->suite = site->open.suite;
    memcpy(header->r2, site->r[2], HASH_BYTES);
    header->site = site->settings.id;
    header->n_parameters = site->open.n_parameters;
    header->lane_bits = site->open.lane_bits;
    header->bytes = site->leaving.bytes;
    memcpy(header->root, site->leaving.root, HASH_BYTES);
    site->phase = SITE_IN_MASKED;
    err = site_send_phase(site, &site->answer, site->r[2]);
    if (err == CHOIR_OK)
        hash_bytes(site->header_hash, site->sent.body, site->sent.len);
    return err;
}

// R2 is known and the charged update is here.
enum choir_err site_mask(struct site *site)
{
    struct site_effect *effect;

    site->leaving = site->update;
    if (site->open.suite == 0)
        return masked(site);
    site->phase = SITE_IN_MASKING;
    effect = site_effect_add(site, SITE_DO_MASK);
    memcpy(effect->mask.run, site->plan.run, MESSAGE_RUN_BYTES);
    effect->mask.round = site->open.round;
    effect->mask.attempt = site->open.attempt;
    effect->mask.update = site->update;
    effect->mask.n_parameters = site->open.n_parameters;
    effect->mask.lane_bits = site->open.lane_bits;
    effect->mask.suite = site->open.suite;
    effect->mask.masks = site->masks;
    return CHOIR_OK;
}

static bool in_this_attempt(const struct site *site, const struct site_event *event)
{
    return event->round == site->open.round && event->attempt == site->open.attempt;
}

enum choir_err site_on_masked(struct site *site, const struct site_event *event)
{
    if (!in_this_attempt(site, event) || site->phase != SITE_IN_MASKING)
        return CHOIR_OK;
    maskset_free(site->masks);
    site->masks = NULL;
    site->leaving.bytes = event->update.bytes;
    memcpy(site->leaving.root, event->update.root, HASH_BYTES);
    return masked(site);
}

void site_on_mask_failed(struct site *site, const struct site_event *event)
{
    if (!in_this_attempt(site, event) || site->phase != SITE_IN_MASKING)
        return;
    site_refuse(site, MESSAGE_SHARES_ALL, MESSAGE_CODE_INTERNAL,
                event->text != NULL ? event->text : "the masks could not be put on");
    site_drop_attempt(site);
}

// The shares go out, and nothing that they were made of stays.
static enum choir_err reveal(struct site *site)
{
    struct message *unmask = locked_new(sizeof *unmask);
    enum choir_err err = CHOIR_OK;

    if (unmask == NULL)
        return CHOIR_ERR_MEMORY;
    unmask->kind = MESSAGE_UNMASK;
    if (site->masking != NULL)
        err = masking_reveal(site->masking, &site->v2, &site->u, &unmask->unmask);
    masking_free(site->masking);
    site->masking = NULL;
    site->phase = SITE_IN_UNMASKED;
    if (err == CHOIR_OK)
        err = site_send_phase(site, unmask, site->r[3]);
    locked_free(unmask);
    return err;
}

enum choir_err site_on_mark_stored(struct site *site, const struct site_event *event)
{
    enum choir_err err;

    if (!in_this_attempt(site, event))
        return CHOIR_OK;
    if (site->phase == SITE_IN_REVEALING)
        return reveal(site);
    if (site->phase != SITE_IN_MARKING)
        return CHOIR_OK;
    err = advertise(site, event->fresh);
    if (err == CHOIR_OK)
        train(site);
    return err;
}

void site_on_mark_refused(struct site *site, const struct site_event *event)
{
    if (!in_this_attempt(site, event) ||
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

enum choir_err site_on_update_ready(struct site *site, const struct site_event *event)
{
    if (event->round != site->open.round || !site->training)
        return CHOIR_OK;
    site->training = false;
    site->update = event->update;
    site->update_round = event->round;
    return site->phase == SITE_IN_TRAINING ? site_mask(site) : CHOIR_OK;
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
