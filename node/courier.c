#include "node/courier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/now.h"
#include "crypto/rng.h"
#include "node/cargo.h"
#include "node/channel.h"
#include "ops/log.h"
#include "train/snapshot.h"
#include "wire/envelope.h"

enum {
    ASKED_MAX = 32,           // requests that the vault has not answered yet
    TOLD_MAX = 16,            // events that wait for the machine
    HELLO_TIMEOUT_MS = 30000, // opening a ledger with a slow passphrase
    RESEND_MS = 1000,
    HEARTBEAT_MS = 1000,
    ASK_AGAIN_MS = 1500, // after a plan was not approved
    SUITES = 1,          // bit 0: suite 0, masks off
};

/* A request on its way to the vault. */
struct asked {
    uint64_t serial, round;
    uint16_t kind;
    uint32_t attempt;
};

/* The plan that was offered last and is not approved: asked for again and again. */
struct offer {
    struct hatch_request request;
    int file; // -1: none
    uint64_t again_ms;
};

struct courier {
    struct courier_parts parts;
    struct site *machine;
    struct site_effects effects;
    struct site_event told[TOLD_MAX];
    size_t n_told;
    struct site_plan plan; // of a SITE_PLAN_CHECKED among them
    struct asked asked[ASKED_MAX];
    size_t n_asked;
    uint64_t serial, sequence, now_ms;
    struct hatch_answer vault; // the newest answer: head, data id
    uint8_t session[MESSAGE_NONCE_BYTES];
    struct offer offer;
    struct cargo *cargo;
    bool bulk_up;
    uint64_t n_parameters; // of the accepted plan
    char waits[ROLE_TEXT_MAX];
    struct message *letter; // for JOIN and LEAVE
    uint8_t body[1024];
    uint8_t chunk[LINK_BULK_MAX];
};

static enum choir_err open_envelope(const void *context, const uint8_t *bytes, size_t len,
                                    struct incoming *out)
{
    struct envelope envelope;
    const uint8_t *body;
    size_t body_len;
    enum choir_err err = envelope_open(bytes, len, context, &envelope, &body, &body_len);

    if (err != CHOIR_OK)
        return err;
    *out = (struct incoming){
        .kind = envelope.kind,
        .round = envelope.round_no,
        .attempt = envelope.attempt,
        .sender = envelope.sender,
        .body = body,
        .body_len = body_len,
        .signed_bytes = bytes,
        .signed_len = len,
    };
    memcpy(out->run, envelope.run, sizeof out->run);
    memcpy(out->transcript, envelope.transcript, sizeof out->transcript);
    return CHOIR_OK;
}

static void say_waits(struct courier *courier, const char *text)
{
    (void)snprintf(courier->waits, sizeof courier->waits, "%s", text);
}

// What the aggregator sent is lost at worst: every answer is sent again until it is heard.
static enum choir_err send_letter(struct courier *courier, struct envelope *envelope,
                                  const uint8_t *body, size_t body_len)
{
    uint8_t *bytes = NULL;
    size_t len;
    enum choir_err err;

    envelope->sender = courier->parts.self->id;
    envelope->sequence = ++courier->sequence;
    envelope->roster_epoch = courier->parts.roster->epoch;
    err = envelope_seal(envelope, body, body_len, courier->parts.sign_secret, &bytes, &len);
    if (err != CHOIR_OK)
        return err;
    err = link_send(courier->parts.link, ROSTER_AGGREGATOR, LINK_CONTROL, bytes, len);
    free(bytes);
    return err == CHOIR_ERR_AGAIN || err == CHOIR_ERR_PEER ? CHOIR_OK : err;
}

static enum choir_err send_own(struct courier *courier)
{
    struct envelope envelope = {.kind = (uint16_t)courier->letter->kind};
    size_t len;
    enum choir_err err = message_encode(courier->letter, courier->body, sizeof courier->body, &len);

    return err == CHOIR_OK ? send_letter(courier, &envelope, courier->body, len) : err;
}

static enum choir_err join(struct courier *courier)
{
    struct msg_join *letter = &courier->letter->join;

    memset(letter, 0, sizeof *letter);
    courier->letter->kind = MESSAGE_JOIN;
    memcpy(letter->session, courier->session, sizeof letter->session);
    letter->ledger = courier->vault.head;
    letter->suites = SUITES;
    (void)snprintf(letter->data_id, sizeof letter->data_id, "%s", courier->vault.data_id);
    (void)snprintf(letter->version, sizeof letter->version, "%s", CHOIR_VERSION);
    return send_own(courier);
}

void courier_leave(struct courier *courier)
{
    struct msg_leave *letter = &courier->letter->leave;
    enum choir_err err;

    memset(letter, 0, sizeof *letter);
    courier->letter->kind = MESSAGE_LEAVE;
    letter->code = MESSAGE_CODE_STOPPED;
    (void)snprintf(letter->text, sizeof letter->text, "stopped by the site");
    err = send_own(courier);
    if (err != CHOIR_OK)
        LOG_EVENT(LOG_WARNING, "leave_not_sent", log_err(err));
}

// Notes the request, so that its answer finds its way; then sends it.
static enum choir_err ask(struct courier *courier, struct hatch_request *request, uint32_t attempt,
                          int file)
{
    struct asked *asked;

    if (courier->n_asked == ASKED_MAX)
        return CHOIR_ERR_PEER; // the vault does not answer any more
    request->serial = ++courier->serial;
    asked = &courier->asked[courier->n_asked++];
    *asked = (struct asked){.serial = request->serial,
                            .round = request->round,
                            .kind = request->kind,
                            .attempt = attempt};
    return channel_send(courier->parts.vault, request, sizeof *request, file);
}

static struct hatch_request request_of(enum hatch_kind kind, const uint8_t *run, uint64_t round)
{
    struct hatch_request request = hatch_request_of(kind, 0);

    memcpy(request.run, run, sizeof request.run);
    request.round = round;
    return request;
}

static void tell(struct courier *courier, const struct site_event *event)
{
    assert(courier->n_told < TOLD_MAX);
    courier->told[courier->n_told++] = *event;
}

static void tell_hash(struct courier *courier, enum site_event_kind kind, const uint8_t *hash)
{
    struct site_event event = {.kind = kind};

    memcpy(event.hash, hash, HASH_BYTES);
    tell(courier, &event);
}

static enum choir_err check_plan(struct courier *courier, const struct site_effect *effect)
{
    struct offer *offer = &courier->offer;
    enum choir_err err;

    if (offer->file >= 0)
        close(offer->file);
    offer->file = -1;
    err = channel_file(effect->plan.bytes, effect->plan.len, &offer->file);
    if (err != CHOIR_OK)
        return err;
    offer->again_ms = 0;
    offer->request = request_of(HATCH_PLAN, effect->plan.run, 0);
    memcpy(offer->request.hash, effect->plan.plan_hash, HASH_BYTES);
    memcpy(offer->request.signature, effect->plan.signature, SIGN_BYTES);
    return ask(courier, &offer->request, 0, offer->file);
}

static enum choir_err store_mark(struct courier *courier, const struct mark *mark)
{
    struct hatch_request request = request_of(HATCH_MARK, mark->run, mark->round);

    request.mark = *mark;
    return ask(courier, &request, mark->attempt, -1);
}

static enum choir_err fetch_model(struct courier *courier, const uint8_t *hash)
{
    enum choir_err err;

    if (cargo_model(courier->cargo, hash) >= 0) {
        tell_hash(courier, SITE_MODEL_READY, hash);
        return CHOIR_OK;
    }
    err = cargo_fetch(courier->cargo, hash, snapshot_len((size_t)courier->n_parameters));
    if (err == CHOIR_OK || err == CHOIR_ERR_MEMORY)
        return err;
    LOG_EVENT(LOG_WARNING, "model_not_fetched", log_err(err));
    tell_hash(courier, SITE_MODEL_FAILED, hash);
    return CHOIR_OK;
}

static enum choir_err train(struct courier *courier, const struct site_effect *effect)
{
    struct hatch_request request = request_of(HATCH_TRAIN, effect->train.run, effect->train.round);
    int file = cargo_model(courier->cargo, effect->train.model_hash);

    memcpy(request.hash, effect->train.model_hash, HASH_BYTES);
    memcpy(request.hash2, effect->train.plan_hash, HASH_BYTES);
    if (file < 0) {
        tell_hash(courier, SITE_MODEL_FAILED, effect->train.model_hash);
        return CHOIR_OK;
    }
    return ask(courier, &request, 0, file);
}

static enum choir_err upload(struct courier *courier, const struct site_effect *effect)
{
    enum cargo_news news;
    enum choir_err err = cargo_upload(courier->cargo, effect->upload.update.root, &news);

    if (err == CHOIR_ERR_MISSING) {
        LOG_EVENT(LOG_ERROR, "update_not_here", log_whole("round", effect->upload.round));
        return CHOIR_OK;
    }
    if (err == CHOIR_OK && news == CARGO_UPLOADED)
        tell_hash(courier, SITE_UPLOADED, effect->upload.update.root);
    return err;
}

static enum choir_err store_consent(struct courier *courier, const struct site_effect *effect)
{
    struct hatch_request request =
        request_of(HATCH_CONSENT, effect->consent.run, effect->consent.round);

    memcpy(request.hash, effect->consent.r2, HASH_BYTES);
    memcpy(request.hash2, effect->consent.r3, HASH_BYTES);
    return ask(courier, &request, 0, -1);
}

static enum choir_err send_phase(struct courier *courier, const struct site_effect *effect)
{
    struct envelope envelope = {
        .kind = (uint16_t)effect->send.kind,
        .round_no = effect->send.round,
        .attempt = effect->send.attempt,
    };

    memcpy(envelope.run, effect->send.run, sizeof envelope.run);
    memcpy(envelope.transcript, effect->send.transcript, sizeof envelope.transcript);
    return send_letter(courier, &envelope, effect->send.body, effect->send.body_len);
}

static void log_closed(struct courier *courier, const struct site_effect *effect)
{
    courier->waits[0] = '\0';
    LOG_EVENT(LOG_INFO, "round_closed", log_whole("round", effect->closed.round),
              log_whole("participants", effect->closed.n_participants),
              log_truth("took_part", effect->closed.took_part),
              log_whole("missing_ppm", effect->closed.missing_ppm),
              log_hex("model", effect->closed.model_hash, HASH_BYTES));
}

static void log_ended(const struct site_effect *effect)
{
    LOG_EVENT(LOG_INFO, "run_ended", log_text("code", message_code_text(effect->ended.code)),
              log_whole("rounds", effect->ended.rounds),
              log_hex("model", effect->ended.model_hash, HASH_BYTES),
              log_text("text", effect->ended.text));
}

static void log_report(struct courier *courier, const struct site_effect *effect)
{
    say_waits(courier, effect->report.text);
    LOG_EVENT(LOG_WARNING, "attempt_note", log_whole("round", effect->report.round),
              log_whole("attempt", effect->report.attempt),
              log_text("code", message_code_text(effect->report.code)),
              log_text("text", effect->report.text));
}

static enum choir_err carry_out(struct courier *courier, const struct site_effect *effect)
{
    struct hatch_request request;

    switch (effect->kind) {
    case SITE_DO_JOIN:
        return join(courier);
    case SITE_DO_SEND:
        return send_phase(courier, effect);
    case SITE_DO_CHECK_PLAN:
        return check_plan(courier, effect);
    case SITE_DO_STORE_MARK:
        return store_mark(courier, &effect->mark);
    case SITE_DO_FETCH_MODEL:
        return fetch_model(courier, effect->hash);
    case SITE_DO_TRAIN:
        return train(courier, effect);
    case SITE_DO_UPLOAD:
        return upload(courier, effect);
    case SITE_DO_STOP_UPLOAD:
        cargo_stop_upload(courier->cargo);
        return CHOIR_OK;
    case SITE_DO_STORE_CONSENT:
        return store_consent(courier, effect);
    case SITE_DO_ERASE:
        request = request_of(HATCH_ERASE, effect->erase.run, effect->erase.round);
        return ask(courier, &request, 0, -1);
    case SITE_DO_CLOSED:
        log_closed(courier, effect);
        return CHOIR_OK;
    case SITE_DO_RUN_END:
        log_ended(effect);
        return CHOIR_OK;
    case SITE_DO_REPORT:
    default:
        log_report(courier, effect);
        return CHOIR_OK;
    }
}

// One event, all of its effects, then the events that those brought about, in order.
static enum choir_err step(struct courier *courier, const struct site_event *first)
{
    enum choir_err err = CHOIR_OK;

    tell(courier, first);
    for (size_t i = 0; i < courier->n_told && err == CHOIR_OK; i++) {
        courier->told[i].now_ms = courier->now_ms;
        err = site_step(courier->machine, &courier->told[i], &courier->effects);
        for (size_t k = 0; k < courier->effects.n && err == CHOIR_OK; k++)
            err = carry_out(courier, &courier->effects.item[k]);
    }
    courier->n_told = 0;
    return err;
}

static enum choir_err step_kind(struct courier *courier, enum site_event_kind kind)
{
    struct site_event event = {.kind = kind};

    return step(courier, &event);
}

static enum choir_err on_letter(struct courier *courier, const struct link_event *event)
{
    struct incoming incoming;
    struct site_event news = {.kind = SITE_MESSAGE, .message = &incoming};
    enum choir_err err = open_envelope(courier->parts.roster, event->bytes, event->len, &incoming);

    if (err == CHOIR_ERR_REFUSED) {
        say_waits(courier, "the aggregator works with another epoch of the roster: get the newest "
                           "roster file from the coordinator and restart this node");
        LOG_EVENT(LOG_ERROR, "other_roster_epoch", log_text("message", courier->waits));
        return CHOIR_OK;
    }
    if (err != CHOIR_OK || incoming.sender != ROSTER_AGGREGATOR) {
        LOG_EVENT(LOG_WARNING, "message_dropped", log_err(err));
        return err == CHOIR_ERR_MEMORY ? err : CHOIR_OK;
    }
    if (courier->n_asked > ASKED_MAX / 2)
        return CHOIR_OK; // the vault is busy: what matters is sent again
    return step(courier, &news);
}

static enum choir_err on_news(struct courier *courier, enum cargo_news news)
{
    struct site_event event = {0};

    switch (news) {
    case CARGO_MODEL_READY:
        event.kind = SITE_MODEL_READY;
        memcpy(event.hash, cargo_model_hash(courier->cargo), HASH_BYTES);
        break;
    case CARGO_MODEL_FAILED:
        event.kind = SITE_MODEL_FAILED;
        memcpy(event.hash, cargo_model_hash(courier->cargo), HASH_BYTES);
        break;
    case CARGO_UPLOADED:
        event.kind = SITE_UPLOADED;
        memcpy(event.hash, cargo_root(courier->cargo), HASH_BYTES);
        break;
    case CARGO_NOTHING:
    default:
        return CHOIR_OK;
    }
    return step(courier, &event);
}

static enum choir_err on_bulk(struct courier *courier, const struct link_event *event)
{
    enum cargo_news news;
    enum choir_err err =
        cargo_take(courier->cargo, event->bytes, event->len, courier->now_ms, &news);

    if (err == CHOIR_ERR_MEMORY)
        return err;
    if (err != CHOIR_OK)
        LOG_EVENT(LOG_WARNING, "chunk_dropped", log_err(err));
    return on_news(courier, news);
}

// Sends chunks until the queue is full or there are none.
static enum choir_err pump(struct courier *courier)
{
    while (courier->bulk_up) {
        size_t len;
        enum choir_err err = cargo_next(courier->cargo, courier->now_ms, courier->chunk,
                                        sizeof courier->chunk, &len);

        if (err == CHOIR_ERR_AGAIN)
            return CHOIR_OK;
        if (err != CHOIR_OK)
            return err;
        err = link_send(courier->parts.link, ROSTER_AGGREGATOR, LINK_BULK, courier->chunk, len);
        if (err == CHOIR_ERR_AGAIN || err == CHOIR_ERR_PEER) {
            cargo_unsent(courier->cargo);
            return CHOIR_OK;
        }
        if (err != CHOIR_OK)
            return err;
    }
    return CHOIR_OK;
}

static enum choir_err on_connection(struct courier *courier, enum link_channel channel, bool up)
{
    if (channel == LINK_BULK) {
        courier->bulk_up = up;
        if (up)
            cargo_reopen(courier->cargo);
        return CHOIR_OK;
    }
    LOG_EVENT(LOG_INFO, up ? "connected" : "disconnected",
              log_text("aggregator", link_endpoint(courier->parts.link, LINK_CONTROL)));
    say_waits(courier, up ? "" : "the connection to the aggregator is gone; trying again");
    return step_kind(courier, up ? SITE_LINK_UP : SITE_LINK_DOWN);
}

static void plan_answered(struct courier *courier, const struct hatch_answer *answer)
{
    struct site_plan *plan = &courier->plan;

    *plan = (struct site_plan){
        .accepted = answer->code == MESSAGE_CODE_NONE,
        .code = (enum message_code)answer->code,
        .rounds = answer->terms.rounds,
        .n_parameters = answer->terms.n_parameters,
        .lane_bits = (uint16_t)answer->terms.lane_bits,
        .min_sites = answer->terms.min_sites,
        .mark = answer->terms.mark,
    };
    memcpy(plan->run, answer->run, sizeof plan->run);
    memcpy(plan->plan_hash, answer->hash, HASH_BYTES);
    (void)snprintf(plan->text, sizeof plan->text, "%s", answer->text);
    if (plan->accepted)
        courier->n_parameters = plan->n_parameters;
    say_waits(courier, plan->text);
    if (plan->code == MESSAGE_CODE_NOT_APPROVED) {
        courier->offer.again_ms = courier->now_ms + ASK_AGAIN_MS;
    } else if (courier->offer.file >= 0) {
        close(courier->offer.file);
        courier->offer.file = -1;
    }
}

// Turns the answer into the event that the machine waits for; false if it waits for none.
static bool event_of_answer(struct courier *courier, const struct asked *asked,
                            const struct hatch_answer *answer, struct site_event *event)
{
    bool done = answer->code == MESSAGE_CODE_NONE;

    event->round = asked->round;
    event->attempt = asked->attempt;
    event->code = (enum message_code)answer->code;
    event->text = answer->text;
    event->update = answer->update;
    memcpy(event->hash, answer->hash, HASH_BYTES);
    switch ((enum hatch_kind)asked->kind) {
    case HATCH_PLAN:
        plan_answered(courier, answer);
        event->kind = SITE_PLAN_CHECKED;
        event->plan = &courier->plan;
        return true;
    case HATCH_MARK:
        event->kind = done ? SITE_MARK_STORED : SITE_MARK_REFUSED;
        return true;
    case HATCH_TRAIN:
        event->kind = done ? SITE_UPDATE_READY : SITE_UPDATE_REFUSED;
        return true;
    case HATCH_CONSENT:
        event->kind = done ? SITE_CONSENT_STORED : SITE_CONSENT_REFUSED;
        return true;
    case HATCH_HELLO:
    case HATCH_ERASE:
    case HATCH_BUDGET:
    case HATCH_EXPORT:
    case HATCH_KINDS:
    default:
        return false;
    }
}

// Answers come in the order of the requests.
static enum choir_err take_answer(struct courier *courier, int timeout_ms,
                                  struct hatch_answer *answer, struct asked *asked)
{
    int carried = -1;
    enum choir_err err =
        channel_take(courier->parts.vault, answer, sizeof *answer, timeout_ms, &carried);

    if (err != CHOIR_OK)
        return err == CHOIR_ERR_FORMAT ? CHOIR_ERR_PEER : err;
    if (courier->n_asked == 0 || !hatch_answer_check(answer, courier->asked[0].serial)) {
        if (carried >= 0)
            close(carried);
        return CHOIR_ERR_PEER;
    }
    *asked = courier->asked[0];
    memmove(&courier->asked[0], &courier->asked[1], --courier->n_asked * sizeof courier->asked[0]);
    courier->vault = *answer;
    if (carried < 0)
        return CHOIR_OK;
    if (asked->kind == HATCH_TRAIN && answer->code == MESSAGE_CODE_NONE)
        return cargo_keep(courier->cargo, answer->update.root, carried);
    close(carried);
    return CHOIR_ERR_PEER;
}

static enum choir_err on_answers(struct courier *courier)
{
    for (;;) {
        struct hatch_answer answer;
        struct site_event event = {0};
        struct asked asked;
        enum choir_err err = take_answer(courier, 0, &answer, &asked);

        if (err == CHOIR_ERR_AGAIN)
            return CHOIR_OK;
        if (err == CHOIR_OK && event_of_answer(courier, &asked, &answer, &event))
            err = step(courier, &event);
        if (err != CHOIR_OK)
            return err;
    }
}

enum choir_err courier_take(struct courier *courier, const struct link_event *event,
                            uint64_t now_ms)
{
    enum choir_err err = CHOIR_OK;

    courier->now_ms = now_ms;
    switch (event->kind) {
    case LINK_MESSAGE:
        err = event->channel == LINK_CONTROL ? on_letter(courier, event) : on_bulk(courier, event);
        break;
    case LINK_UP:
    case LINK_DOWN:
        err = on_connection(courier, event->channel, event->kind == LINK_UP);
        break;
    case LINK_READABLE:
        if (event->fd == courier->parts.vault)
            err = on_answers(courier);
        break;
    case LINK_REFUSED:
        say_waits(courier, "the aggregator does not know this site's key: ask the coordinator "
                           "whether its roster has this site");
        break;
    case LINK_WRONG_KEY:
        say_waits(courier, "what answers at the aggregator's address is not the aggregator of the "
                           "roster");
        break;
    case LINK_TIMEOUT:
    case LINK_INTRUDER:
    default:
        break;
    }
    return err == CHOIR_OK ? pump(courier) : err;
}

enum choir_err courier_tick(struct courier *courier, uint64_t now_ms)
{
    struct offer *offer = &courier->offer;
    enum choir_err err;

    courier->now_ms = now_ms;
    if (offer->file >= 0 && offer->again_ms != 0 && now_ms >= offer->again_ms) {
        offer->again_ms = 0;
        err = ask(courier, &offer->request, 0, offer->file);
        if (err != CHOIR_OK)
            return err;
    }
    err = step_kind(courier, SITE_TICK);
    return err == CHOIR_OK ? pump(courier) : err;
}

static enum choir_err hello(struct courier *courier)
{
    struct hatch_request request = hatch_request_of(HATCH_HELLO, 0);
    struct hatch_answer answer;
    struct asked asked;
    enum choir_err err = ask(courier, &request, 0, -1);

    if (err == CHOIR_OK)
        err = take_answer(courier, HELLO_TIMEOUT_MS, &answer, &asked);
    return err == CHOIR_ERR_AGAIN ? CHOIR_ERR_PEER : err;
}

static enum choir_err make_machine(struct courier *courier)
{
    const struct roster *roster = courier->parts.roster;
    struct site_settings *settings = calloc(1, sizeof *settings);
    enum choir_err err;

    if (settings == NULL)
        return CHOIR_ERR_MEMORY;
    settings->id = courier->parts.self->id;
    settings->collusion = roster->c;
    settings->minimum_cohort = courier->vault.minimum_cohort;
    settings->resend_ms = RESEND_MS;
    settings->heartbeat_ms = HEARTBEAT_MS;
    settings->open = open_envelope;
    settings->open_context = roster;
    memcpy(settings->roster_hash, roster->hash, HASH_BYTES);
    memcpy(settings->session, courier->session, sizeof settings->session);
    for (size_t i = 0; i < roster->n_sites; i++)
        settings->roster.id[settings->roster.n++] = roster->sites[i].id;
    err = site_new(settings, &courier->machine);
    free(settings);
    return err;
}

enum choir_err courier_new(const struct courier_parts *parts, struct courier **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct courier *courier = calloc(1, sizeof *courier);

    if (courier == NULL)
        return err;
    courier->parts = *parts;
    courier->offer.file = -1;
    courier->sequence = now_unix() << 20; // above every number of an earlier start
    rng_bytes(courier->session, sizeof courier->session);
    say_waits(courier, "the aggregator has not been reached yet");
    courier->letter = calloc(1, sizeof *courier->letter);
    if (courier->letter == NULL)
        goto out;
    err = cargo_new(&courier->cargo);
    if (err == CHOIR_OK)
        err = hello(courier);
    if (err == CHOIR_OK)
        err = make_machine(courier);
    if (err != CHOIR_OK)
        goto out;
    *out = courier;
    courier = NULL;
out:
    courier_free(courier);
    return err;
}

void courier_free(struct courier *courier)
{
    if (courier == NULL)
        return;
    if (courier->offer.file >= 0)
        close(courier->offer.file);
    cargo_free(courier->cargo);
    site_free(courier->machine);
    free(courier->letter);
    free(courier);
}

void courier_report(const struct courier *courier, struct role_report *report)
{
    memset(report, 0, sizeof *report);
    report->magic = ROLE_MAGIC;
    report->ready = true;
    site_status_get(courier->machine, &report->status);
    (void)snprintf(report->waits, sizeof report->waits, "%s", courier->waits);
}
