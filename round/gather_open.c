#include <stdio.h>
#include <string.h>

#include "round/gather_state.h"
#include "round/quorum.h"

void gather_log_opened(struct gather *gather)
{
    struct gather_effect *effect = gather_effect_add(gather, GATHER_DO_OPENED);

    effect->opened.round = gather->round;
    effect->opened.attempt = gather->attempt;
    effect->opened.suite = gather->run.suite;
    effect->opened.threshold = gather->threshold;
    effect->opened.minimum = gather->minimum;
    memcpy(effect->opened.r0, gather->r[0], HASH_BYTES);
    effect->opened.sites = &gather->members[0];
}

void gather_log_survivors(struct gather *gather)
{
    struct gather_effect *effect = gather_effect_add(gather, GATHER_DO_SURVIVORS);

    effect->survivors.round = gather->round;
    effect->survivors.attempt = gather->attempt;
    memcpy(effect->survivors.r3, gather->r[3], HASH_BYTES);
    effect->survivors.sites = &gather->members[SAID_CONSENT];
}

void gather_log_closed(struct gather *gather)
{
    const struct msg_round_close *close = &gather->answer.round_close;
    struct gather_effect *effect = gather_effect_add(gather, GATHER_DO_CLOSED);
    struct site_set *sites = &gather->closed_sites;

    *sites = close->participants;
    effect->closed.round = gather->close_round;
    effect->closed.attempt = gather->close_attempt;
    memcpy(effect->closed.r3, close->r3, HASH_BYTES);
    memcpy(effect->closed.sum_hash, close->sum_hash, HASH_BYTES);
    memcpy(effect->closed.model_hash, close->model_hash, HASH_BYTES);
    memcpy(effect->closed.revealed_hash, close->revealed_hash, HASH_BYTES);
    effect->closed.missing_ppm = close->missing_ppm;
    effect->closed.sites = sites;
}

void gather_wait(struct gather *gather, uint64_t until_ms)
{
    gather->phase = GATHER_WAITING;
    gather->phase_began_ms = gather->now_ms;
    gather->wait_until_ms = until_ms;
    gather->deadline_ms = 0;
    gather->reason[0] = '\0';
}

// Sites that could take part in this attempt, sooner or later.
static bool possible(const struct gather *gather, const struct peer *peer)
{
    return peer->in_plan && !peer->suspended && (!peer->answered || peer->accepted) &&
           (gather->attempt == 0 || site_set_has(&gather->members[0], peer->id));
}

static uint32_t asked_by(const struct gather *gather, const struct site_set *sites)
{
    uint32_t asked = gather->run.min_sites;

    for (size_t i = 0; i < gather->n_peers; i++)
        if (site_set_has(sites, gather->peer[i].id) && gather->peer[i].cohort > asked)
            asked = gather->peer[i].cohort;
    return asked;
}

// Puts the sites that can begin now into `ready`. True if nobody is worth waiting for: in the
// first round every site of the plan is, later those that were here a moment ago.
static bool who_is_ready(const struct gather *gather, struct site_set *ready, size_t *n_possible)
{
    bool everybody = true;
    bool early = gather->round == 1 && gather->attempt == 0;

    ready->n = 0;
    *n_possible = 0;
    for (size_t i = 0; i < gather->n_peers; i++) {
        const struct peer *peer = &gather->peer[i];

        if (!possible(gather, peer))
            continue;
        ++*n_possible;
        if (gather_eligible(gather, peer))
            ready->id[ready->n++] = peer->id;
        else if (early || gather->attempt > 0 || gather_present(gather, peer))
            everybody = false;
    }
    return everybody;
}

void gather_take_open(struct gather *gather)
{
    const struct msg_round_open *open = &gather->answer.round_open;

    gather_clear_attempt(gather);
    gather->opened = true;
    gather->revealed = false;
    gather->restored = false;
    gather->round = open->round;
    gather->attempt = open->attempt;
    gather->threshold = open->threshold;
    gather->minimum = open->minimum;
    gather->members[0] = open->sites;
    for (size_t i = 0; i < gather->n_peers; i++)
        gather->peer[i].in_attempt = site_set_has(&open->sites, gather->peer[i].id);
    if (gather->err == CHOIR_OK)
        gather->err = transcript_open(gather->r[0], gather->settings.roster_hash,
                                      gather->said[0].at, gather->said[0].len);
    gather_enter(gather, GATHER_OPEN);
}

static void journal_open_record(struct gather *gather)
{
    struct journal_open *record = &gather->record.open;

    gather->record.kind = JOURNAL_ROUND_OPEN;
    record->body = gather->said[0].at;
    record->body_len = gather->said[0].len;
    record->n = 0;
    for (size_t i = 0; i < gather->n_peers; i++) {
        struct peer *peer = &gather->peer[i];

        if (!peer->in_attempt)
            continue;
        memcpy(peer->attempt_session, peer->session, MESSAGE_NONCE_BYTES);
        memcpy(record->session[record->n++], peer->session, MESSAGE_NONCE_BYTES);
    }
    gather_journal(gather);
}

static void open_attempt(struct gather *gather, const struct site_set *sites, uint32_t threshold,
                         uint32_t minimum)
{
    struct msg_round_open *open = &gather->answer.round_open;

    gather->answer.kind = MESSAGE_ROUND_OPEN;
    memcpy(open->run, gather->run.run, MESSAGE_RUN_BYTES);
    open->round = gather->round;
    open->attempt = gather->attempt + 1;
    memcpy(open->model_hash, gather->run.model_hash, HASH_BYTES);
    memcpy(open->plan_hash, gather->run.plan_hash, HASH_BYTES);
    open->n_parameters = gather->run.n_parameters;
    open->lane_bits = gather->run.lane_bits;
    open->suite = gather->run.suite;
    open->deadline_ms = gather->run.deadline_ms;
    open->threshold = threshold;
    open->minimum = minimum;
    open->log = gather->event->log;
    memcpy(open->nonce, gather->event->fresh, MESSAGE_NONCE_BYTES);
    open->sites = *sites;
    gather_keep(gather, &gather->said[0]);
    if (gather->err != CHOIR_OK)
        return;
    gather_take_open(gather);
    journal_open_record(gather);
    gather->resent_ms = gather->now_ms;

    gather_log_opened(gather);
    gather_send(gather, MESSAGE_ROUND_OPEN, &gather->said[0], gather->settings.roster_hash,
                &gather->members[0]);
}

static void say_reason(struct gather *gather, const char *reason)
{
    if (strcmp(reason, gather->reason) == 0)
        return;
    snprintf(gather->reason, sizeof gather->reason, "%s", reason);
    gather_report(gather, MESSAGE_CODE_NONE, 0, "round %llu %s", (unsigned long long)gather->round,
                  reason);
}

static void say_waits(struct gather *gather, size_t need, size_t have)
{
    size_t more = need > have ? need - have : 0;
    char reason[MESSAGE_TEXT_MAX + 1] = "waits for the other sites to answer";

    if (more > 0)
        snprintf(reason, sizeof reason, "waits for %zu more site%s: need %zu, have %zu", more,
                 more == 1 ? "" : "s", need, have);
    say_reason(gather, reason);
}

bool gather_end_if_done(struct gather *gather)
{
    if (gather->round <= gather->run.rounds)
        return false;
    gather_end_run(gather, MESSAGE_CODE_FINISHED,
                   gather->closed == gather->run.rounds ? "all rounds are closed"
                                                        : "some rounds were lost");
    return true;
}

void gather_next_round(struct gather *gather)
{
    gather->round++;
    gather->attempt = 0;
    gather->threshold = 0;
    gather->minimum = 0;
    gather->opened = false;
    gather->revealed = false;
    if (gather_end_if_done(gather))
        return;
    gather_wait(gather, gather->now_ms + gather->settings.resend_ms);
}

void gather_lose(struct gather *gather, const char *text)
{
    gather->record.kind = JOURNAL_LOST;
    gather->record.attempt.round = gather->round;
    gather->record.attempt.attempt = gather->attempt;
    gather->record.attempt.code = MESSAGE_CODE_LOST;
    gather_journal(gather);
    gather_effect_add(gather, GATHER_DO_LOST)->closed.round = gather->round;
    gather_report(gather, MESSAGE_CODE_LOST, 0, "round %llu is lost: %s",
                  (unsigned long long)gather->round, text);
    gather_clear_attempt(gather);
    gather_next_round(gather);
}

bool gather_try_open(struct gather *gather)
{
    struct site_set ready;
    size_t n_possible;
    bool everybody = who_is_ready(gather, &ready, &n_possible);
    uint32_t n = (uint32_t)ready.n;
    uint32_t threshold = gather->threshold;
    uint32_t minimum = gather->minimum;
    const char *hindrance;

    if (gather->attempt == 0) {
        threshold = quorum_threshold(n, gather->settings.collusion);
        minimum = quorum_minimum(n, gather->settings.collusion, asked_by(gather, &ready),
                                 gather->run.suite > 0);
    } else if (n_possible < minimum) {
        gather_lose(gather, "too few of its sites are left");
        return true;
    }
    if (n < minimum || n < threshold) {
        say_waits(gather, minimum > threshold ? minimum : threshold, n);
        return false;
    }
    if (!everybody && gather->now_ms < gather->wait_until_ms) {
        say_waits(gather, 0, n);
        return false;
    }
    if (gather->run.suite > 0 && (hindrance = gather_masks_hindrance(gather, &ready)) != NULL) {
        say_reason(gather, hindrance);
        return false;
    }
    open_attempt(gather, &ready, threshold, minimum);
    return gather->opened;
}

// Share of the plan's nominal data that is not in the sum, in millionths, rounded up: a site that
// is missing is never 0.
static uint32_t missing_ppm(const struct gather *gather, const struct site_set *u)
{
    double total = 0.0;
    double missing = 0.0;
    double ppm;

    for (size_t i = 0; i < gather->run.n_sites; i++) {
        double size = (double)gather->run.site[i].nominal_size;

        total += size;
        if (!site_set_has(u, gather->run.site[i].id))
            missing += size;
    }
    ppm = total > 0.0 ? missing / total * 1e6 : 0.0;
    return (uint32_t)ppm + ((double)(uint32_t)ppm < ppm ? 1 : 0);
}

void gather_on_merged(struct gather *gather, const struct gather_event *event)
{
    struct msg_round_close *close = &gather->answer.round_close;
    const struct site_set *u = &gather->members[SAID_UNMASK];
    struct site_set to;

    if (gather->phase != GATHER_MERGE || event->round != gather->round)
        return;
    gather->answer.kind = MESSAGE_ROUND_CLOSE;
    memcpy(close->r3, gather->r[3], HASH_BYTES);
    memcpy(close->sum_hash, event->sum_hash, HASH_BYTES);
    memcpy(close->model_hash, event->hash, HASH_BYTES);
    memcpy(close->revealed_hash, gather->revealed_hash, HASH_BYTES);
    close->missing_ppm = missing_ppm(gather, u);
    close->log = event->log;
    close->participants = *u;
    gather_keep(gather, &gather->close);
    gather->close_round = gather->round;
    gather->close_attempt = gather->attempt;
    memcpy(gather->close_r3, gather->r[3], HASH_BYTES);

    gather->record.kind = JOURNAL_CLOSE;
    gather->record.close.round = gather->round;
    gather->record.close.attempt = gather->attempt;
    gather->record.close.body = gather->close.at;
    gather->record.close.body_len = gather->close.len;
    gather_journal(gather);

    gather_log_closed(gather);
    gather_everybody(gather, &to);
    gather_send(gather, MESSAGE_ROUND_CLOSE, &gather->close, gather->close_r3, &to);

    memcpy(gather->run.model_hash, event->hash, HASH_BYTES);
    gather->closed++;
    gather_clear_attempt(gather);
    gather_next_round(gather);
}
