#include "aggregator/hub.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/annals.h"
#include "aggregator/archive.h"
#include "aggregator/desk.h"
#include "aggregator/intake.h"
#include "aggregator/store.h"
#include "aggregator/study.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/now.h"
#include "crypto/keyfile.h"
#include "crypto/rng.h"
#include "ops/log.h"
#include "round/gather.h"
#include "round/journal.h"
#include "wire/envelope.h"
#include "wire/link.h"
#include "wire/secrets.h"

enum {
    RESEND_MS = 2000,
    HEARTBEAT_MS = 5000,
    TELL_EVERY_MS = 200,     // progress to those who watch
    PUMP_EVERY_MS = 250,     // transfers look whether something got lost
    PROGRESS_EVERY_MS = 500, // a site that uploads is told to the state machine
    PUMP_BURST = 16,         // bulk messages to one site before the next one has its turn
    PENDING_MAX = MESSAGE_SITES_MAX + 8,
};

struct pending {
    enum gather_event_kind kind;
    uint32_t site;
    uint64_t round;
    uint8_t hash[HASH_BYTES], sum_hash[HASH_BYTES];
    char text[MESSAGE_TEXT_MAX + 1];
};

struct hub {
    const struct aggregator_config *config;
    struct roster roster;
    uint8_t *secret; // SECRETS_PEER_BYTES, locked memory
    struct link *link;
    struct gather *gather;
    struct store *store;
    struct annals *annals;
    struct intake *intake;
    struct desk *desk;
    struct study *study; // of the active or the last run; NULL: none since the start
    uint8_t run[MESSAGE_RUN_BYTES];
    struct source *source; // of the model that is served
    int source_fd;
    uint64_t sequence;
    uint64_t started_ms, ended_ms; // first round opened, run ended; 0: not yet
    struct link_counts before;     // at the start of the run
    struct site_set participants;
    bool ended, complete, resumed;
    uint64_t told_ms, pumped_ms, upload_told_ms[ROSTER_SITES_MAX + 1];
    struct pending pending[PENDING_MAX]; // a ring
    size_t first_pending, n_pending;
    // too large for the stack
    struct gather_effects effects;
    struct gather_run start;
    struct gather_status status;
    struct gather_settings settings;
    uint8_t bulk[BULK_BYTES_MAX];
};

/* What a replayed journal said about the run that is active. */
struct replay {
    struct hub *hub;
    uint8_t signature[SIGN_BYTES];
};

static enum choir_err open_incoming(const void *context, const uint8_t *bytes, size_t len,
                                    struct incoming *out)
{
    struct envelope envelope;
    enum choir_err err = envelope_open(bytes, len, context, &envelope, &out->body, &out->body_len);

    if (err != CHOIR_OK)
        return err == CHOIR_ERR_FORMAT ? err : CHOIR_ERR_FORGED;
    out->kind = envelope.kind;
    memcpy(out->run, envelope.run, sizeof out->run);
    out->round = envelope.round_no;
    out->attempt = envelope.attempt;
    out->sender = envelope.sender;
    memcpy(out->transcript, envelope.transcript, sizeof out->transcript);
    out->signed_bytes = bytes;
    out->signed_len = len;
    return CHOIR_OK;
}

static struct gather_event new_event(struct hub *hub, enum gather_event_kind kind)
{
    struct gather_event event = {.kind = kind, .now_ms = now_ms()};

    rng_bytes(event.fresh, sizeof event.fresh);
    annals_head(hub->annals, &event.log);
    return event;
}

// What an effect brought about; handed to the state machine after all effects of this step.
static struct pending *add_pending(struct hub *hub, enum gather_event_kind kind)
{
    struct pending *pending;

    if (hub->n_pending == PENDING_MAX)
        return NULL;
    pending = &hub->pending[(hub->first_pending + hub->n_pending++) % PENDING_MAX];
    memset(pending, 0, sizeof *pending);
    pending->kind = kind;
    return pending;
}

static enum choir_err send_effect(struct hub *hub, const struct gather_effect *effect)
{
    struct envelope envelope = {.kind = (uint16_t)effect->send.kind,
                                .round_no = effect->send.round,
                                .attempt = effect->send.attempt,
                                .sender = ROSTER_AGGREGATOR,
                                .sequence = ++hub->sequence,
                                .roster_epoch = hub->roster.epoch};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err;

    memcpy(envelope.run, effect->send.run, sizeof envelope.run);
    memcpy(envelope.transcript, effect->send.transcript, sizeof envelope.transcript);
    err = envelope_seal(&envelope, effect->send.body, effect->send.body_len, hub->secret, &bytes,
                        &len);
    if (err != CHOIR_OK)
        return err;
    // A message that cannot be sent now is sent again when its answer stays away.
    for (size_t i = 0; i < effect->send.to->n; i++)
        if (link_send(hub->link, effect->send.to->id[i], LINK_CONTROL, bytes, len) != CHOIR_OK)
            continue;
    free(bytes);
    return CHOIR_OK;
}

static void stop_serving(struct hub *hub)
{
    intake_serve(hub->intake, NULL);
    source_free(hub->source);
    hub->source = NULL;
    if (hub->source_fd >= 0)
        close(hub->source_fd);
    hub->source_fd = -1;
}

static enum choir_err serve_model(struct hub *hub)
{
    const uint8_t *hash = global_hash(hub->study->global);
    enum choir_err err;

    stop_serving(hub);
    err = global_file(hub->study->global, hash, &hub->source_fd);
    if (err == CHOIR_OK)
        err = source_of_fd(hash, hub->source_fd, &hub->source);
    if (err == CHOIR_OK)
        intake_serve(hub->intake, hub->source);
    return err;
}

static enum choir_err expect_upload(struct hub *hub, const struct gather_effect *effect)
{
    bool here = false;
    struct pending *pending;
    enum choir_err err = intake_expect(hub->intake, effect->upload.site, effect->upload.root,
                                       effect->upload.bytes, &here);

    if (err != CHOIR_OK || !here)
        return err;
    pending = add_pending(hub, GATHER_UPLOADED);
    if (pending == NULL)
        return CHOIR_ERR_MEMORY;
    pending->site = effect->upload.site;
    memcpy(pending->hash, effect->upload.root, HASH_BYTES);
    return CHOIR_OK;
}

static enum choir_err open_uploads(struct hub *hub, const struct gather_effect *effect, int *fds,
                                   size_t *n)
{
    const struct site_set *sites = effect->merge.sites;
    enum choir_err err = CHOIR_OK;

    for (*n = 0; err == CHOIR_OK && *n < sites->n; *n += err == CHOIR_OK)
        err = intake_file(hub->intake, sites->id[*n], effect->merge.roots[*n], &fds[*n]);
    return err;
}

static enum choir_err merge(struct hub *hub, const struct gather_effect *effect)
{
    struct choir_diag diag = {.message = "an upload is not there any more"};
    struct pending *pending = add_pending(hub, GATHER_MERGED);
    struct global *global = hub->study->global;
    enum choir_err err = CHOIR_OK;
    int fds[MESSAGE_SITES_MAX];
    size_t n = 0;

    if (pending == NULL)
        return CHOIR_ERR_MEMORY;
    if (memcmp(global_hash(global), effect->merge.model_hash, HASH_BYTES) != 0)
        err = global_load(global, effect->merge.model_hash);
    if (err == CHOIR_OK)
        err = open_uploads(hub, effect, fds, &n);
    if (err == CHOIR_OK)
        err = global_merge(global, effect->merge.round, fds, n,
                           study_weight(hub->study, effect->merge.sites), pending->sum_hash, &diag);
    while (n > 0)
        close(fds[--n]);
    pending->round = effect->merge.round;
    memcpy(pending->hash, global_hash(global), HASH_BYTES);
    if (err == CHOIR_ERR_IO || err == CHOIR_ERR_MEMORY)
        return err;
    if (err != CHOIR_OK) {
        pending->kind = GATHER_MERGE_FAILED;
        snprintf(pending->text, sizeof pending->text, "%.120s: %.120s", diag.place, diag.message);
        LOG_EVENT(LOG_ERROR, "merge_failed", log_whole("round", effect->merge.round),
                  log_text("why", pending->text));
    }
    return CHOIR_OK;
}

static enum choir_err closed(struct hub *hub, const struct gather_effect *effect)
{
    for (size_t i = 0; i < effect->closed.sites->n; i++)
        site_set_add(&hub->participants, effect->closed.sites->id[i]);
    intake_clear(hub->intake);
    global_prune(hub->study->global, NULL);
    LOG_EVENT(LOG_INFO, "round_closed", log_hex("run", hub->run, sizeof hub->run),
              log_whole("round", effect->closed.round), log_whole("sites", effect->closed.sites->n),
              log_whole("missing_ppm", effect->closed.missing_ppm),
              log_hex("model", effect->closed.model_hash, 8));
    return serve_model(hub);
}

static enum choir_err run_folder(const struct hub *hub, char folder[static PATH_MAX])
{
    char run[2 * MESSAGE_RUN_BYTES + 1];

    hex_put(run, hub->run, MESSAGE_RUN_BYTES);
    if ((size_t)snprintf(folder, PATH_MAX, "%s/runs/%s", hub->config->state_dir, run) >= PATH_MAX)
        return CHOIR_ERR_FORMAT;
    return file_make_dir(folder);
}

static void count_bytes(const struct hub *hub, uint64_t *up, uint64_t *down)
{
    struct link_counts now;

    link_count(hub->link, &now);
    *up = now.received_bytes - hub->before.received_bytes;
    *down = now.sent_bytes - hub->before.sent_bytes;
}

static enum choir_err run_end(struct hub *hub, const struct gather_effect *effect)
{
    struct archive_figures figures = {.complete = effect->ended.code == MESSAGE_CODE_FINISHED,
                                      .rounds = effect->ended.rounds,
                                      .ended_unix = now_unix()};
    char folder[PATH_MAX];
    enum choir_err err;

    hub->ended = true;
    hub->complete = figures.complete;
    hub->ended_ms = now_ms();
    memcpy(figures.run, hub->run, sizeof figures.run);
    figures.elapsed_ms = hub->started_ms == 0 ? 0 : hub->ended_ms - hub->started_ms;
    figures.participants = hub->participants;
    count_bytes(hub, &figures.bytes_up, &figures.bytes_down);
    err = run_folder(hub, folder);
    if (err == CHOIR_OK)
        err = archive_write(folder, hub->study, &hub->roster, hub->config->roster, hub->annals,
                            &figures);
    LOG_EVENT(err == CHOIR_OK ? LOG_INFO : LOG_ERROR, "run_ended",
              log_hex("run", hub->run, sizeof hub->run), log_whole("rounds", figures.rounds),
              log_text("why", message_code_text(effect->ended.code)),
              log_text("archive", err == CHOIR_OK ? folder : "could not be written"));
    return err;
}

static void report(const struct gather_effect *effect)
{
    LOG_EVENT(effect->report.code == MESSAGE_CODE_NONE ? LOG_INFO : LOG_WARNING, "round_report",
              log_whole("site", effect->report.site), log_whole("round", effect->report.round),
              log_whole("attempt", effect->report.attempt),
              log_text("what", message_code_text(effect->report.code)),
              log_text("text", effect->report.text));
}

static enum choir_err note_in_annals(struct hub *hub, const struct gather_effect *effect)
{
    return annals_effect(hub->annals, hub->run, global_hash(hub->study->global), effect);
}

static enum choir_err carry_out_one(struct hub *hub, const struct gather_effect *effect)
{
    enum choir_err err;

    switch (effect->kind) {
    case GATHER_DO_JOURNAL:
        return store_append(hub->store, effect->journal.record, effect->journal.len);
    case GATHER_DO_SEND:
        return send_effect(hub, effect);
    case GATHER_DO_EXPECT_UPLOAD:
        return expect_upload(hub, effect);
    case GATHER_DO_RESET_UPLOAD:
        intake_drop(hub->intake, effect->upload.site);
        return CHOIR_OK;
    case GATHER_DO_MERGE:
        return merge(hub, effect);
    case GATHER_DO_OPENED:
        if (hub->started_ms == 0)
            hub->started_ms = now_ms();
        return note_in_annals(hub, effect);
    case GATHER_DO_SURVIVORS:
        return note_in_annals(hub, effect);
    case GATHER_DO_CLOSED:
        err = note_in_annals(hub, effect);
        return err != CHOIR_OK ? err : closed(hub, effect);
    case GATHER_DO_LOST:
        LOG_EVENT(LOG_WARNING, "round_lost", log_whole("round", effect->closed.round));
        return CHOIR_OK;
    case GATHER_DO_RUN_END:
        err = note_in_annals(hub, effect);
        return err != CHOIR_OK ? err : run_end(hub, effect);
    case GATHER_DO_REPORT:
        report(effect);
        return CHOIR_OK;
    }
    return CHOIR_OK;
}

static enum choir_err carry_out(struct hub *hub)
{
    enum choir_err err = CHOIR_OK;

    for (size_t i = 0; err == CHOIR_OK && i < hub->effects.n; i++)
        err = carry_out_one(hub, &hub->effects.item[i]);
    return err;
}

// One event, and then everything that its effects brought about.
static enum choir_err step(struct hub *hub, const struct gather_event *event)
{
    enum choir_err err = gather_step(hub->gather, event, &hub->effects);

    if (err == CHOIR_OK)
        err = carry_out(hub);
    while (err == CHOIR_OK && hub->n_pending > 0) {
        struct pending *pending = &hub->pending[hub->first_pending];
        struct gather_event next = new_event(hub, pending->kind);

        hub->first_pending = (hub->first_pending + 1) % PENDING_MAX;
        hub->n_pending--;
        next.site = pending->site;
        next.round = pending->round;
        memcpy(next.hash, pending->hash, HASH_BYTES);
        memcpy(next.sum_hash, pending->sum_hash, HASH_BYTES);
        next.text = pending->text[0] == '\0' ? NULL : pending->text;
        err = gather_step(hub->gather, &next, &hub->effects);
        if (err == CHOIR_OK)
            err = carry_out(hub);
    }
    return err;
}

static enum choir_err take_control(struct hub *hub, const struct link_event *event)
{
    struct incoming message = {0};
    struct gather_event next = new_event(hub, GATHER_MESSAGE);
    enum choir_err err = open_incoming(&hub->roster, event->bytes, event->len, &message);

    if (err != CHOIR_OK || message.sender != event->site) {
        LOG_EVENT(LOG_WARNING, "message_rejected", log_whole("site", event->site),
                  log_text("why", err != CHOIR_OK ? choir_err_text(err)
                                                  : "the sender is not who the connection is"));
        return CHOIR_OK;
    }
    if (message.kind == MESSAGE_JOIN)
        intake_reopen(hub->intake, event->site);
    next.message = &message;
    next.site = event->site;
    return step(hub, &next);
}

static void refuse_fetch(struct hub *hub, uint32_t site, const struct bulk_message *message)
{
    struct bulk_message refusal = {.kind = BULK_REFUSED, .code = BULK_UNKNOWN};
    size_t len = 0;

    memcpy(refusal.id, message->id, HASH_BYTES);
    bulk_encode(&refusal, hub->bulk, sizeof hub->bulk, &len);
    if (link_send(hub->link, site, LINK_BULK, hub->bulk, len) != CHOIR_OK)
        return; // the site asks again
}

static enum choir_err take_bulk(struct hub *hub, const struct link_event *event)
{
    struct bulk_message message;
    enum intake_news news = INTAKE_NOTHING;
    struct gather_event next;
    enum choir_err err = bulk_decode(event->bytes, event->len, &message);

    if (err == CHOIR_OK)
        err = intake_take(hub->intake, event->site, &message, now_ms(), &news);
    if (err == CHOIR_ERR_PEER && message.kind == BULK_FETCH)
        refuse_fetch(hub, event->site, &message);
    else if (err == CHOIR_ERR_FORMAT || err == CHOIR_ERR_FORGED)
        LOG_EVENT(LOG_WARNING, "chunk_rejected", log_whole("site", event->site), log_err(err));
    if (err == CHOIR_ERR_IO || err == CHOIR_ERR_MEMORY)
        return err;
    hub->pumped_ms = 0; // an answer may be due
    if (news == INTAKE_NOTHING)
        return CHOIR_OK;
    next = new_event(hub, news == INTAKE_WHOLE ? GATHER_UPLOADED : GATHER_UPLOAD_PROGRESS);
    if (news == INTAKE_CAME && next.now_ms < hub->upload_told_ms[event->site] + PROGRESS_EVERY_MS)
        return CHOIR_OK;
    hub->upload_told_ms[event->site] = next.now_ms;
    next.site = event->site;
    memcpy(next.hash, message.id, HASH_BYTES);
    return step(hub, &next);
}

static void pump_site(struct hub *hub, uint32_t site, uint64_t now)
{
    for (int burst = 0; burst < PUMP_BURST; burst++) {
        size_t len = 0;

        if (intake_next(hub->intake, site, now, hub->bulk, sizeof hub->bulk, &len) != CHOIR_OK)
            return;
        if (link_send(hub->link, site, LINK_BULK, hub->bulk, len) != CHOIR_OK) {
            intake_unsent(hub->intake, site);
            return;
        }
    }
    hub->pumped_ms = 0; // more is waiting
}

static void pump(struct hub *hub)
{
    uint64_t now = now_ms();

    if (now < hub->pumped_ms + PUMP_EVERY_MS)
        return;
    hub->pumped_ms = now;
    for (size_t i = 0; i < hub->roster.n_sites; i++)
        pump_site(hub, hub->roster.sites[i].id, now);
}

static enum choir_err take_event(struct hub *hub, const struct link_event *event)
{
    switch (event->kind) {
    case LINK_MESSAGE:
        return event->channel == LINK_CONTROL ? take_control(hub, event) : take_bulk(hub, event);
    case LINK_READABLE:
        desk_serve(hub->desk, event->fd);
        return CHOIR_OK;
    case LINK_INTRUDER:
        LOG_EVENT(LOG_WARNING, "unknown_key_refused",
                  log_text("next", "if this is a new site, `choir roster add` its NAME.pub"));
        return CHOIR_OK;
    case LINK_UP:
        if (event->channel == LINK_BULK)
            intake_reopen(hub->intake, event->site);
        return CHOIR_OK;
    case LINK_TIMEOUT:
    case LINK_DOWN:
    case LINK_REFUSED:
    case LINK_WRONG_KEY:
        return CHOIR_OK;
    }
    return CHOIR_OK;
}

static uint32_t until_next(const struct hub *hub)
{
    uint64_t now = now_ms(), due = gather_next_tick(hub->gather);

    if (hub->pumped_ms == 0 || due <= now)
        return 0;
    return due - now < TELL_EVERY_MS ? (uint32_t)(due - now) : TELL_EVERY_MS;
}

enum choir_err hub_run(struct hub *hub, const volatile sig_atomic_t *stop)
{
    enum choir_err err = CHOIR_OK;

    while (err == CHOIR_OK && !*stop) {
        struct link_event event;
        bool was_ended = hub->ended;

        err = link_next(hub->link, until_next(hub), &event);
        if (err == CHOIR_OK)
            err = take_event(hub, &event);
        pump(hub);
        if (err == CHOIR_OK && now_ms() >= gather_next_tick(hub->gather)) {
            struct gather_event tick = new_event(hub, GATHER_TICK);

            err = step(hub, &tick);
        }
        if (hub->ended && !was_ended)
            desk_tell(hub->desk, true);
        else if (now_ms() >= hub->told_ms + TELL_EVERY_MS) {
            hub->told_ms = now_ms();
            desk_tell(hub->desk, false);
        }
    }
    if (err != CHOIR_OK)
        LOG_EVENT(LOG_ERROR, "stopping", log_err(err),
                  log_text("next", "free disk or memory and start again: the run goes on"));
    return err;
}

static enum progress_site_state site_state(const struct gather_site_status *site, bool overdue)
{
    switch (site->standing) {
    case GATHER_JOINED:
    case GATHER_READY:
        return PROGRESS_SITE_JOINED;
    case GATHER_REFUSED:
    case GATHER_SUSPENDED:
        return PROGRESS_SITE_REFUSED;
    case GATHER_WORKING:
    case GATHER_IN:
        if (site->uploaded)
            return PROGRESS_SITE_IN;
        return overdue ? PROGRESS_SITE_LATE : PROGRESS_SITE_BUSY;
    case GATHER_DROPPED:
        return PROGRESS_SITE_LATE;
    case GATHER_ABSENT:
    case GATHER_STANDINGS:
        break;
    }
    return PROGRESS_SITE_MISSING;
}

static enum progress_state run_state(const struct hub *hub)
{
    if (hub->study == NULL)
        return PROGRESS_IDLE;
    if (hub->ended)
        return PROGRESS_ENDED;
    return hub->status.phase == GATHER_WAITING ? PROGRESS_WAITING : PROGRESS_RUNNING;
}

static void fill_sites(const struct hub *hub, uint64_t now, struct progress *out)
{
    const struct gather_status *status = &hub->status;
    bool overdue = status->deadline_ms != 0 && now > status->deadline_ms;

    out->n_sites = status->n_sites;
    for (size_t i = 0; i < status->n_sites; i++) {
        const struct roster_site *site = roster_by_id(&hub->roster, status->site[i].id);

        snprintf(out->sites[i].name, sizeof out->sites[i].name, "%s",
                 site == NULL ? "?" : site->name);
        out->sites[i].state = site_state(&status->site[i], overdue);
    }
}

static void fill_progress(void *context, struct progress *out)
{
    struct hub *hub = context;
    const struct gather_status *status = &hub->status;
    uint64_t now = now_ms(), end = hub->ended ? hub->ended_ms : now;

    memset(out, 0, sizeof *out);
    gather_status_get(hub->gather, &hub->status);
    out->state = run_state(hub);
    if (hub->study == NULL)
        return;
    out->complete = hub->complete;
    memcpy(out->run, hub->run, sizeof out->run);
    snprintf(out->plan, sizeof out->plan, "%.63s", hub->study->plan->name);
    snprintf(out->phase, sizeof out->phase, "%s",
             hub->ended ? "done" : gather_phase_name(status->phase));
    snprintf(out->reason, sizeof out->reason, "%s", status->reason);
    out->rounds = hub->study->plan->rounds;
    out->round_no = hub->ended ? status->closed : status->round;
    if (hub->ended && hub->complete)
        out->round_no = out->rounds;
    out->attempt = status->attempt;
    out->elapsed_ms = hub->started_ms == 0 ? 0 : end - hub->started_ms;
    out->deadline_ms = status->deadline_ms > now ? status->deadline_ms - now : 0;
    out->secure_aggregation = hub->study->plan->secure_aggregation;
    count_bytes(hub, &out->bytes_up, &out->bytes_down);
    fill_sites(hub, now, out);
}

static void stop_run(void *context)
{
    struct hub *hub = context;
    struct pending *pending = add_pending(hub, GATHER_STOP);

    if (pending != NULL)
        snprintf(pending->text, sizeof pending->text, "stopped by the operator");
    hub->pumped_ms = 0;
}

static enum choir_err models_folder(const struct hub *hub, char folder[static PATH_MAX])
{
    if ((size_t)snprintf(folder, PATH_MAX, "%s/models", hub->config->state_dir) >= PATH_MAX)
        return CHOIR_ERR_FORMAT;
    return file_make_dir(folder);
}

// A fresh run of hub->study.
static enum choir_err begin(struct hub *hub)
{
    struct gather_event event;
    enum choir_err err = global_init(hub->study->global);

    if (err == CHOIR_OK)
        err = serve_model(hub);
    if (err == CHOIR_OK)
        err = store_clear(hub->store);
    if (err != CHOIR_OK)
        return err;
    intake_clear(hub->intake);
    rng_bytes(hub->run, sizeof hub->run);
    hub->started_ms = hub->ended_ms = 0;
    hub->ended = hub->complete = hub->resumed = false;
    hub->participants.n = 0;
    link_count(hub->link, &hub->before);
    study_run(hub->study, hub->run, &hub->start);
    err = annals_run_start(hub->annals, &hub->start, hub->roster.hash);
    if (err != CHOIR_OK)
        return err;
    event = new_event(hub, GATHER_START);
    event.run = &hub->start;
    LOG_EVENT(LOG_INFO, "run_started", log_hex("run", hub->run, sizeof hub->run),
              log_text("plan", hub->study->plan->name),
              log_hex("plan_hash", hub->study->plan->hash, HASH_BYTES),
              log_whole("rounds", hub->study->plan->rounds));
    return step(hub, &event);
}

static enum choir_err launch(void *context, const uint8_t signature[static SIGN_BYTES],
                             const uint8_t *plan, size_t len, char *text, size_t max)
{
    struct hub *hub = context;
    struct choir_diag diag = {0};
    struct study *study = NULL;
    char folder[PATH_MAX], run[2 * MESSAGE_RUN_BYTES + 1];
    enum choir_err err;

    if (hub->study != NULL && !hub->ended) {
        snprintf(text, max, "a run of plan \"%s\" is going on; watch it with `choir watch`",
                 hub->study->plan->name);
        return CHOIR_ERR_REFUSED;
    }
    err = models_folder(hub, folder);
    if (err == CHOIR_OK)
        err = study_open(&hub->roster, folder, plan, len, signature, &study, &diag);
    if (err != CHOIR_OK) {
        snprintf(text, max, "%s: %s", diag.place, diag.message);
        return err;
    }
    stop_serving(hub);
    study_close(hub->study);
    hub->study = study;
    err = begin(hub);
    hex_put(run, hub->run, sizeof hub->run);
    if (err == CHOIR_OK)
        snprintf(text, max, "run %s started", run);
    else
        snprintf(text, max, "the run could not start: %s", choir_err_text(err));
    return err;
}

static enum choir_err replay_one(void *context, const uint8_t *record, size_t len)
{
    struct replay *replay = context;
    struct journal_record *decoded = NULL;
    enum choir_err err = gather_replay(replay->hub->gather, record, len);

    if (err != CHOIR_OK)
        return err;
    decoded = calloc(1, sizeof *decoded);
    if (decoded == NULL)
        return CHOIR_ERR_MEMORY;
    err = journal_decode(record, len, decoded);
    if (err == CHOIR_OK && decoded->kind == JOURNAL_RUN_START) {
        memcpy(replay->signature, decoded->start.run.signature, SIGN_BYTES);
        memcpy(replay->hub->run, decoded->start.run.run, MESSAGE_RUN_BYTES);
    }
    free(decoded);
    return err != CHOIR_OK
               ? err
               : annals_catch_up(replay->hub->annals, replay->hub->roster.hash, record, len);
}

static enum choir_err resume(struct hub *hub, const struct replay *replay, struct choir_diag *diag)
{
    const uint8_t *plan = NULL;
    size_t len = 0;
    char folder[PATH_MAX];
    struct gather_event event;
    enum choir_err err = gather_plan(hub->gather, &plan, &len);

    if (err == CHOIR_ERR_MISSING)
        return CHOIR_OK; // no run was active
    if (err == CHOIR_OK)
        err = models_folder(hub, folder);
    if (err == CHOIR_OK)
        err = study_open(&hub->roster, folder, plan, len, replay->signature, &hub->study, diag);
    if (err != CHOIR_OK)
        return err;
    gather_status_get(hub->gather, &hub->status);
    err = global_load(hub->study->global, hub->status.model_hash);
    if (err == CHOIR_OK)
        err = serve_model(hub);
    if (err != CHOIR_OK)
        return diag_set(diag, err, folder, "the model of the interrupted run is not there: %s",
                        choir_err_text(err));
    hub->started_ms = now_ms();
    hub->resumed = true;
    link_count(hub->link, &hub->before);
    event = new_event(hub, GATHER_TICK);
    LOG_EVENT(LOG_INFO, "run_resumed", log_hex("run", hub->run, sizeof hub->run),
              log_whole("round", hub->status.round));
    err = gather_resume(hub->gather, &event, &hub->effects);
    if (err == CHOIR_OK)
        err = carry_out(hub);
    return err;
}

static enum choir_err open_machine(struct hub *hub)
{
    struct gather_settings *settings = &hub->settings;

    memcpy(settings->roster_hash, hub->roster.hash, HASH_BYTES);
    rng_bytes(settings->boot, sizeof settings->boot);
    for (size_t i = 0; i < hub->roster.n_sites; i++)
        site_set_add(&settings->roster, hub->roster.sites[i].id);
    settings->collusion = hub->roster.c;
    settings->resend_ms = RESEND_MS;
    settings->heartbeat_ms = HEARTBEAT_MS;
    settings->open = open_incoming;
    settings->open_context = &hub->roster;
    return gather_new(settings, &hub->gather);
}

static enum choir_err open_keys(struct hub *hub, struct choir_diag *diag)
{
    const struct aggregator_config *config = hub->config;
    char *passphrase = NULL;
    size_t len = 0;
    enum choir_err err;

    if (config->passphrase_file == NULL)
        return diag_set(diag, CHOIR_ERR_MISSING, config->keys,
                        "name a passphrase_file in the settings (mode 0600; a systemd credential "
                        "is such a file)");
    err = keyfile_passphrase(config->passphrase_file, &passphrase);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->passphrase_file, "the passphrase: %s",
                        choir_err_text(err));
    err = keyfile_open(config->keys, SECRETS_AGGREGATOR, passphrase, &hub->secret, &len);
    keyfile_free(passphrase);
    if (err == CHOIR_OK && len != SECRETS_PEER_BYTES)
        err = CHOIR_ERR_FORMAT;
    if (err != CHOIR_OK)
        diag_set(diag, err, config->keys, "the aggregator's keys: %s", choir_err_text(err));
    return err;
}

static enum choir_err open_roster(struct hub *hub, struct choir_diag *diag)
{
    const char *path = hub->config->roster;
    char fingerprint[ROSTER_FINGERPRINT_MAX];
    enum choir_err err;

    hex_put(fingerprint, hub->config->root, HASH_BYTES);
    err = roster_read(path, fingerprint, &hub->roster);
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "the roster: %s", choir_err_text(err));
    if (!roster_is_current(&hub->roster, now_unix()))
        return diag_set(diag, CHOIR_ERR_REFUSED, path,
                        "the roster has expired; renew it with `choir roster add`");
    if (hub->roster.n_sites == 0)
        return diag_set(diag, CHOIR_ERR_REFUSED, path,
                        "the roster has no site yet; add one with `choir roster add`");
    return CHOIR_OK;
}

static enum choir_err in_state(const struct hub *hub, const char *name, char path[static PATH_MAX])
{
    if ((size_t)snprintf(path, PATH_MAX, "%s/%s", hub->config->state_dir, name) >= PATH_MAX)
        return CHOIR_ERR_FORMAT;
    return CHOIR_OK;
}

static enum choir_err open_state(struct hub *hub, struct choir_diag *diag)
{
    char path[PATH_MAX];
    enum choir_err err = in_state(hub, "uploads", path);

    if (err == CHOIR_OK)
        err = file_make_dir(path);
    if (err == CHOIR_OK)
        err = intake_open(path, &hub->intake);
    if (err == CHOIR_OK)
        err = in_state(hub, "journal.db", path);
    if (err == CHOIR_OK)
        err = store_open(path, &hub->store);
    if (err != CHOIR_OK)
        return diag_set(diag, err, hub->config->state_dir, "the state folder: %s",
                        err == CHOIR_ERR_AGAIN ? "another aggregator uses it"
                                               : choir_err_text(err));
    err = in_state(hub, "log.db", path);
    if (err == CHOIR_OK)
        err = annals_open(path, &hub->roster, hub->secret, &hub->annals);
    return err == CHOIR_OK
               ? err
               : diag_set(diag, err, path, "the federation's log: %s", choir_err_text(err));
}

static enum choir_err open_doors(struct hub *hub, struct choir_diag *diag)
{
    const struct link_settings settings = {.roster = &hub->roster,
                                           .curve_secret = hub->secret + SIGN_SECRET_BYTES,
                                           .control = hub->config->control,
                                           .bulk = hub->config->bulk};
    const struct desk_calls calls = {
        .context = hub, .launch = launch, .stop = stop_run, .progress = fill_progress};
    char path[PATH_MAX];
    enum choir_err err = link_listen(&settings, diag, &hub->link);

    if (err != CHOIR_OK)
        return err;
    err = in_state(hub, "control.sock", path);
    if (err == CHOIR_OK)
        err = desk_open(path, hub->link, &calls, &hub->desk);
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "the operator's socket: %s", choir_err_text(err));
    LOG_EVENT(LOG_INFO, "listening", log_text("control", link_endpoint(hub->link, LINK_CONTROL)),
              log_text("bulk", link_endpoint(hub->link, LINK_BULK)),
              log_whole("sites", hub->roster.n_sites), log_whole("epoch", hub->roster.epoch));
    return CHOIR_OK;
}

enum choir_err hub_open(const struct aggregator_config *config, struct hub **out,
                        struct choir_diag *diag)
{
    struct replay replay = {0};
    enum choir_err err;
    struct hub *hub = calloc(1, sizeof *hub);

    if (hub == NULL)
        return diag_set(diag, CHOIR_ERR_MEMORY, "aggregator", "out of memory");
    hub->config = config;
    hub->source_fd = -1;
    hub->sequence = now_unix() << 24; // above everything of the last start
    err = open_roster(hub, diag);
    if (err == CHOIR_OK)
        err = open_keys(hub, diag);
    if (err == CHOIR_OK)
        err = open_state(hub, diag);
    if (err == CHOIR_OK)
        err = open_machine(hub);
    replay.hub = hub;
    if (err == CHOIR_OK) {
        err = store_each(hub->store, replay_one, &replay);
        if (err != CHOIR_OK)
            diag_set(diag, err, "journal.db", "the journal cannot be read: %s",
                     choir_err_text(err));
    }
    if (err == CHOIR_OK)
        err = open_doors(hub, diag);
    if (err == CHOIR_OK)
        err = resume(hub, &replay, diag);
    if (err != CHOIR_OK) {
        hub_close(hub);
        return err;
    }
    *out = hub;
    return CHOIR_OK;
}

void hub_close(struct hub *hub)
{
    if (hub == NULL)
        return;
    desk_close(hub->desk);
    if (hub->intake != NULL)
        stop_serving(hub);
    intake_close(hub->intake);
    link_close(hub->link);
    gather_free(hub->gather);
    store_close(hub->store);
    annals_close(hub->annals);
    study_close(hub->study);
    keyfile_free(hub->secret);
    roster_release(&hub->roster);
    free(hub);
}
