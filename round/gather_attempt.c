#include <stdio.h>
#include <string.h>

#include "round/gather_state.h"

static const uint8_t no_transcript[HASH_BYTES];

static const enum message_kind phase_message[SAID_STEPS] = {
    MESSAGE_ROUND_OPEN, MESSAGE_ADVERTS, MESSAGE_SHARES_ALL, MESSAGE_SURVIVORS, MESSAGE_CONSENTS};

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HASH_BYTES) == 0;
}

// The transcript hash that the message of phase `step` answers.
static const uint8_t *answers(const struct gather *gather, size_t step)
{
    return step == 0 ? gather->settings.roster_hash : gather->r[step - 1];
}

// The transcript hash that what the sites say in `step` answers: R0, R1, R2, R3, R3.
static const uint8_t *awaited_transcript(const struct gather *gather, enum gather_said step)
{
    return gather->r[step <= SAID_CONSENT ? step : SAID_CONSENT];
}

static bool in_steps(enum gather_phase phase)
{
    return phase >= GATHER_OPEN && phase <= GATHER_UNMASK;
}

static enum gather_said step_of_phase(enum gather_phase phase)
{
    return (enum gather_said)(phase - GATHER_OPEN);
}

static bool has_said(const struct peer *peer, enum gather_said step)
{
    return peer->heard[step].here && (step != SAID_MASKED || peer->uploaded);
}

bool gather_answered(const struct gather *gather, const struct peer *peer)
{
    if (gather->phase == GATHER_MERGE)
        return site_set_has(&gather->members[SAID_UNMASK], peer->id);
    return in_steps(gather->phase) && has_said(peer, step_of_phase(gather->phase));
}

bool gather_awaited(const struct gather *gather, const struct peer *peer)
{
    return gather->opened && in_steps(gather->phase) && !peer->dropped && !peer->suspended &&
           site_set_has(&gather->members[step_of_phase(gather->phase)], peer->id) &&
           !has_said(peer, step_of_phase(gather->phase));
}

void gather_enter(struct gather *gather, enum gather_phase phase)
{
    uint32_t patience = phase == GATHER_CONSENT || phase == GATHER_UNMASK ? GATHER_PATIENCE : 1;

    gather->phase = phase;
    gather->phase_began_ms = gather->now_ms;
    gather->deadline_ms = gather->now_ms + (uint64_t)gather->run.deadline_ms * patience;
    gather->extended = 0;
    gather->reason[0] = '\0';
}

void gather_clear_attempt(struct gather *gather)
{
    for (size_t i = 0; i < gather->n_peers; i++) {
        struct peer *peer = &gather->peer[i];

        peer->in_attempt = false;
        peer->dropped = false;
        peer->uploaded = false;
        peer->progress_ms = 0;
        for (size_t step = 0; step < SAID_STEPS; step++)
            peer->heard[step].here = false;
    }
    gather->opened = false;
}

void gather_remind(struct gather *gather, const struct peer *peer)
{
    size_t step = step_of_phase(gather->phase);

    gather_send_one(gather, phase_message[step], &gather->said[step], answers(gather, step),
                    peer->id);
}

// What the sites ask for by saying their part again is not pushed; these are.
void gather_resend(struct gather *gather)
{
    struct site_set offer = {.n = 0};
    struct site_set open = {.n = 0};

    for (size_t i = 0; i < gather->n_peers; i++) {
        const struct peer *peer = &gather->peer[i];

        if (peer->in_plan && peer->joined && !peer->answered && !peer->suspended)
            offer.id[offer.n++] = peer->id;
        if (gather->phase == GATHER_OPEN && gather_awaited(gather, peer) && peer->joined)
            open.id[open.n++] = peer->id;
    }
    gather_offer_plan(gather, &offer);
    gather_send(gather, MESSAGE_ROUND_OPEN, &gather->said[0], answers(gather, 0), &open);
}

// Tells a site that an attempt is over for it.
static void tell_over(struct gather *gather, const struct incoming *message, enum message_code code)
{
    gather->answer.kind = MESSAGE_ATTEMPT_ABANDONED;
    gather->answer.attempt_abandoned.code = code;
    snprintf(gather->answer.attempt_abandoned.text, sizeof gather->answer.attempt_abandoned.text,
             "%s", message_code_text(code));
    gather_answer(gather, message->run, message->round, message->attempt, message->sender);
}

// Something said in an attempt that is not the current one.
static void answer_past(struct gather *gather, const struct incoming *message)
{
    size_t before = gather->effects->n;

    if (message->round > gather->round ||
        (message->round == gather->round && message->attempt > gather->attempt))
        return;
    if (message->round != gather->close_round) {
        tell_over(gather, message, MESSAGE_CODE_LATE);
        return;
    }
    gather_send_one(gather, MESSAGE_ROUND_CLOSE, &gather->close, gather->close_r3, message->sender);
    if (gather->effects->n > before) {
        gather->effects->item[before].send.round = gather->close_round;
        gather->effects->item[before].send.attempt = gather->close_attempt;
    }
}

static void expect_upload(struct gather *gather, const struct peer *peer)
{
    struct gather_effect *effect = gather_effect_add(gather, GATHER_DO_EXPECT_UPLOAD);

    effect->upload.site = peer->id;
    effect->upload.round = gather->round;
    effect->upload.attempt = gather->attempt;
    memcpy(effect->upload.root, peer->root, HASH_BYTES);
    effect->upload.bytes = gather->run.update_bytes;
}

// The site asks again: it missed our answer, if there is one yet.
static void say_again(struct gather *gather, const struct peer *peer, enum gather_said step)
{
    size_t next = (size_t)step + 1;

    if (next < SAID_STEPS && gather->phase > (enum gather_phase)(GATHER_OPEN + step))
        gather_send_one(gather, phase_message[next], &gather->said[next], answers(gather, next),
                        peer->id);
    else if (step == SAID_MASKED && !peer->uploaded)
        expect_upload(gather, peer);
}

// True if the decoded body is one that this attempt can use.
static bool body_fits(const struct gather *gather, const struct peer *peer, enum gather_said step)
{
    const struct message *message = &gather->message;

    switch (step) {
    case SAID_ADVERT:
        return message->advertise.suite == 0;
    case SAID_SHARES:
        return message->shares.suite == 0;
    case SAID_MASKED:
        return message->masked.suite == 0 && same(message->masked.r2, gather->r[2]) &&
               message->masked.site == peer->id &&
               message->masked.n_parameters == gather->run.n_parameters &&
               message->masked.lane_bits == gather->run.lane_bits &&
               message->masked.bytes == gather->run.update_bytes;
    case SAID_CONSENT:
        return same(message->consent.r2, gather->r[2]) && same(message->consent.r3, gather->r[3]);
    case SAID_UNMASK:
        return message->unmask.suite == 0;
    case SAID_STEPS:
    default:
        return false;
    }
}

// In time: the phase of the step, or a later one where more of the same does no harm.
static bool in_time(const struct gather *gather, enum gather_said step)
{
    return step >= SAID_CONSENT || gather->phase == (enum gather_phase)(GATHER_OPEN + step);
}

static void hear(struct gather *gather, struct peer *peer, const struct incoming *message,
                 enum gather_said step, const uint8_t hash[static HASH_BYTES])
{
    struct heard *heard = &peer->heard[step];

    heard->here = true;
    memcpy(heard->hash, hash, HASH_BYTES);
    heard->signed_len = 0;
    if (message->signed_len <= MESSAGE_ENVELOPE_MAX) {
        memcpy(heard->signed_bytes, message->signed_bytes, message->signed_len);
        heard->signed_len = message->signed_len;
    }
    if (step == SAID_MASKED) {
        memcpy(peer->root, gather->message.masked.root, HASH_BYTES);
        expect_upload(gather, peer);
    } else if (gather->phase > (enum gather_phase)(GATHER_OPEN + step)) {
        say_again(gather, peer, step);
    }
}

void gather_on_said(struct gather *gather, struct peer *peer, const struct incoming *message,
                    enum gather_said step)
{
    struct heard *heard = &peer->heard[step];
    uint8_t hash[HASH_BYTES];

    if (!gather->running || memcmp(message->run, gather->run.run, MESSAGE_RUN_BYTES) != 0)
        return;
    if (!gather->opened || message->round != gather->round || message->attempt != gather->attempt) {
        answer_past(gather, message);
        return;
    }
    if (!peer->in_attempt || peer->suspended ||
        gather->phase < (enum gather_phase)(GATHER_OPEN + step) ||
        (gather->restored && step < SAID_MASKED))
        return;
    if (!same(message->transcript, awaited_transcript(gather, step))) {
        gather_report(gather, MESSAGE_CODE_TRANSCRIPT, peer->id,
                      "site %u: %s answers another transcript", (unsigned)peer->id,
                      message_name(message->kind));
        return;
    }
    hash_bytes(hash, message->body, message->body_len);
    if (heard->here && same(heard->hash, hash)) {
        say_again(gather, peer, step);
    } else if (heard->here) {
        gather_suspend(gather, peer, MESSAGE_CODE_EQUIVOCATION, heard, message);
    } else if (peer->dropped || !site_set_has(&gather->members[step], peer->id) ||
               !in_time(gather, step)) {
        gather_drop(gather, peer, message_code_text(MESSAGE_CODE_LATE));
        tell_over(gather, message, MESSAGE_CODE_LATE);
    } else if (!body_fits(gather, peer, step)) {
        gather_suspend(gather, peer, MESSAGE_CODE_FORMAT, NULL, message);
    } else {
        hear(gather, peer, message, step, hash);
    }
}

void gather_on_uploaded(struct gather *gather, const struct gather_event *event)
{
    struct peer *peer = gather_peer(gather, event->site);

    if (peer == NULL || !gather->opened || gather->phase != GATHER_MASKED ||
        !peer->heard[SAID_MASKED].here || !same(peer->root, event->hash))
        return;
    peer->uploaded = true;
    peer->seen_ms = gather->now_ms;
}

static void reset_uploads(struct gather *gather, const struct site_set *but)
{
    struct gather_effect *effect;
    struct site_set *sites = &gather->to[gather->effects->n];

    sites->n = 0;
    for (size_t i = 0; i < gather->n_peers; i++)
        if (gather->peer[i].heard[SAID_MASKED].here &&
            (but == NULL || !site_set_has(but, gather->peer[i].id)))
            sites->id[sites->n++] = gather->peer[i].id;
    if (sites->n == 0)
        return;
    effect = gather_effect_add(gather, GATHER_DO_RESET_UPLOAD);
    effect->reset.round = gather->round;
    effect->reset.attempt = gather->attempt;
    effect->reset.sites = sites;
}

void gather_abandon(struct gather *gather, enum message_code code, const char *text)
{
    struct blob body = {.at = gather->small[GATHER_SMALL_MAX]};
    uint64_t pause = gather->settings.resend_ms;

    if (gather->revealed) {
        reset_uploads(gather, NULL);
        gather_lose(gather, text);
        return;
    }
    gather->record.kind = JOURNAL_ABANDON;
    gather->record.attempt.round = gather->round;
    gather->record.attempt.attempt = gather->attempt;
    gather->record.attempt.code = code;
    gather_journal(gather);
    gather_report(gather, code, 0, "round %llu, attempt %u is abandoned: %s",
                  (unsigned long long)gather->round, (unsigned)gather->attempt, text);

    gather->answer.kind = MESSAGE_ATTEMPT_ABANDONED;
    gather->answer.attempt_abandoned.code = code;
    snprintf(gather->answer.attempt_abandoned.text, sizeof gather->answer.attempt_abandoned.text,
             "%s", text);
    if (message_encode(&gather->answer, body.at, GATHER_SMALL_BYTES, &body.len) == CHOIR_OK)
        gather_send(gather, MESSAGE_ATTEMPT_ABANDONED, &body, no_transcript, &gather->members[0]);
    reset_uploads(gather, NULL);
    gather_clear_attempt(gather);
    if (gather->attempt < 10)
        pause *= gather->attempt;
    else
        pause *= 10;
    gather_wait(gather, gather->now_ms +
                            (pause > gather->run.deadline_ms ? gather->run.deadline_ms : pause));
}

// The members of `step` that said their part; those that dropped out later count only where
// their part can be used without them.
static void who_said(const struct gather *gather, enum gather_said step, struct site_set *set)
{
    const struct site_set *members = &gather->members[step];

    set->n = 0;
    for (size_t i = 0; i < gather->n_peers; i++) {
        const struct peer *peer = &gather->peer[i];

        if (site_set_has(members, peer->id) && has_said(peer, step) && !peer->suspended &&
            (step >= SAID_MASKED || !peer->dropped))
            set->id[set->n++] = peer->id;
    }
}

static void said_list(struct gather *gather, enum gather_said step, const struct site_set *set)
{
    struct said *list = &gather->list;

    list->n = 0;
    for (size_t i = 0; i < gather->n_peers; i++) {
        if (!site_set_has(set, gather->peer[i].id))
            continue;
        list->id[list->n] = gather->peer[i].id;
        memcpy(list->hash[list->n++], gather->peer[i].heard[step].hash, HASH_BYTES);
    }
}

static void envelope_list(struct gather *gather, enum gather_said step, const struct site_set *set,
                          struct envelope_list *list)
{
    list->n = 0;
    for (size_t i = 0; i < gather->n_peers; i++) {
        if (!site_set_has(set, gather->peer[i].id))
            continue;
        list->item[list->n].at = gather->peer[i].heard[step].signed_bytes;
        list->item[list->n++].len = gather->peer[i].heard[step].signed_len;
    }
}

static void link_transcript(struct gather *gather, unsigned step)
{
    enum choir_err err = transcript_next(gather->r[step], step, gather->r[step - 1], &gather->list);

    if (gather->err == CHOIR_OK)
        gather->err = err;
}

// Who did not get into the next list, in one line.
static void report_missing(struct gather *gather, enum gather_said step, const struct site_set *in)
{
    const struct site_set *members = &gather->members[step];
    char text[160] = "";
    size_t len = 0;

    for (size_t i = 0; i < members->n && len < sizeof text - 16; i++)
        if (!site_set_has(in, members->id[i]))
            len += (size_t)snprintf(text + len, sizeof text - len, " %u", (unsigned)members->id[i]);
    if (len > 0)
        gather_report(gather, MESSAGE_CODE_LATE, 0, "round %llu goes on without site%s",
                      (unsigned long long)gather->round, text);
}

static void announce_adverts(struct gather *gather, const struct site_set *v1)
{
    report_missing(gather, SAID_ADVERT, v1);
    gather->members[SAID_SHARES] = *v1;
    said_list(gather, SAID_ADVERT, v1);
    link_transcript(gather, 1);
    gather->answer.kind = MESSAGE_ADVERTS;
    envelope_list(gather, SAID_ADVERT, v1, &gather->answer.adverts.adverts);
    gather_keep(gather, &gather->said[1]);
    gather_enter(gather, GATHER_SHARE);
    gather_send(gather, MESSAGE_ADVERTS, &gather->said[1], answers(gather, 1), v1);
}

static void announce_shares(struct gather *gather, const struct site_set *v2)
{
    struct msg_shares_all *all = &gather->answer.shares_all;

    report_missing(gather, SAID_SHARES, v2);
    gather->members[SAID_MASKED] = *v2;
    said_list(gather, SAID_SHARES, v2);
    link_transcript(gather, 2);
    gather->answer.kind = MESSAGE_SHARES_ALL;
    all->suite = 0;
    all->n = gather->list.n;
    for (size_t i = 0; i < all->n; i++) {
        all->bundle[i].from = gather->list.id[i];
        memcpy(all->bundle[i].bundle_hash, gather->list.hash[i], HASH_BYTES);
        all->bundle[i].has_cipher = false;
    }
    gather_keep(gather, &gather->said[2]);
    gather_enter(gather, GATHER_MASKED);
    gather_send(gather, MESSAGE_SHARES_ALL, &gather->said[2], answers(gather, 2), v2);
}

static void announce_survivors(struct gather *gather, const struct site_set *u)
{
    struct journal_survivors *record = &gather->record.survivors;

    report_missing(gather, SAID_MASKED, u);
    gather->members[SAID_CONSENT] = *u;
    gather->members[SAID_UNMASK] = *u;
    for (size_t i = 0; i < u->n; i++)
        memcpy(gather->roots[i], gather_peer(gather, u->id[i])->root, HASH_BYTES);
    said_list(gather, SAID_MASKED, u);
    link_transcript(gather, 3);
    gather->answer.kind = MESSAGE_SURVIVORS;
    memcpy(gather->answer.survivors.r3, gather->r[3], HASH_BYTES);
    envelope_list(gather, SAID_MASKED, u, &gather->answer.survivors.headers);
    gather_keep(gather, &gather->said[3]);

    gather->record.kind = JOURNAL_SURVIVORS;
    record->round = gather->round;
    record->attempt = gather->attempt;
    memcpy(record->r2, gather->r[2], HASH_BYTES);
    said_list(gather, SAID_SHARES, &gather->members[SAID_MASKED]);
    record->bundles = gather->list;
    record->adverts = NULL;
    record->adverts_len = 0;
    record->body = gather->said[3].at;
    record->body_len = gather->said[3].len;
    gather_journal(gather);

    gather_log_survivors(gather);
    reset_uploads(gather, u);
    gather_enter(gather, GATHER_CONSENT);
    gather_send(gather, MESSAGE_SURVIVORS, &gather->said[3], answers(gather, 3),
                &gather->members[SAID_MASKED]);
}

static void announce_consents(struct gather *gather, const struct site_set *consenting)
{
    struct journal_reveal *record = &gather->record.reveal;

    gather->answer.kind = MESSAGE_CONSENTS;
    envelope_list(gather, SAID_CONSENT, consenting, &gather->answer.consents.consents);
    gather_keep(gather, &gather->said[4]);
    gather->record.kind = JOURNAL_REVEAL;
    record->round = gather->round;
    record->attempt = gather->attempt;
    record->body = gather->said[4].at;
    record->body_len = gather->said[4].len;
    gather_journal(gather);
    gather->revealed = true;
    gather_enter(gather, GATHER_UNMASK);
    gather_send(gather, MESSAGE_CONSENTS, &gather->said[4], answers(gather, 4),
                &gather->members[SAID_UNMASK]);
}

static void ask_for_sum(struct gather *gather)
{
    struct gather_effect *effect = gather_effect_add(gather, GATHER_DO_MERGE);

    effect->merge.round = gather->round;
    effect->merge.attempt = gather->attempt;
    effect->merge.sites = &gather->members[SAID_UNMASK];
    effect->merge.roots = gather->roots;
    memcpy(effect->merge.model_hash, gather->run.model_hash, HASH_BYTES);
    gather_enter(gather, GATHER_MERGE);
    gather->deadline_ms = 0;
}

// How many members of the current step may still say their part.
static size_t n_awaited(const struct gather *gather)
{
    size_t n = 0;

    for (size_t i = 0; i < gather->n_peers; i++)
        if (gather_awaited(gather, &gather->peer[i]))
            n++;
    return n;
}

static bool busy(const struct gather *gather, const struct peer *peer)
{
    uint64_t silence = (uint64_t)GATHER_SILENT_BEATS * gather->settings.heartbeat_ms;
    bool works = peer->activity == MESSAGE_FETCHING || peer->activity == MESSAGE_TRAINING ||
                 peer->activity == MESSAGE_UPLOADING;

    return (works && gather_present(gather, peer)) ||
           (peer->progress_ms > 0 && gather->now_ms - peer->progress_ms <= silence);
}

// True once the deadline has passed and nobody who is awaited is seen working.
static bool too_late(struct gather *gather)
{
    if (gather->now_ms < gather->deadline_ms)
        return false;
    if (gather->phase != GATHER_MASKED || gather->extended >= GATHER_EXTEND_MAX)
        return true;
    for (size_t i = 0; i < gather->n_peers; i++) {
        if (!gather_awaited(gather, &gather->peer[i]) || !busy(gather, &gather->peer[i]))
            continue;
        gather->extended++;
        gather->deadline_ms = gather->now_ms + gather->run.deadline_ms;
        return false;
    }
    return true;
}

// Members of U that can still consent and reveal.
static size_t n_alive(const struct gather *gather, const struct site_set *set)
{
    size_t n = 0;

    for (size_t i = 0; i < gather->n_peers; i++)
        if (site_set_has(set, gather->peer[i].id) && !gather->peer[i].dropped &&
            !gather->peer[i].suspended)
            n++;
    return n;
}

// Steps in which U_min sites are needed. True if the phase changed.
static bool try_list(struct gather *gather, enum gather_said step)
{
    struct site_set in;
    size_t awaited = n_awaited(gather);
    bool enough;

    who_said(gather, step, &in);
    enough = in.n >= gather->minimum && n_alive(gather, &in) >= gather->threshold;
    if (!enough && in.n + awaited < gather->minimum) {
        gather_abandon(gather, MESSAGE_CODE_QUORUM, "too many sites dropped out");
        return true;
    }
    if (awaited > 0 && !too_late(gather))
        return false;
    if (!enough)
        gather_abandon(gather, MESSAGE_CODE_LATE, "too few sites answered in time");
    else if (step == SAID_ADVERT)
        announce_adverts(gather, &in);
    else if (step == SAID_SHARES)
        announce_shares(gather, &in);
    else
        announce_survivors(gather, &in);
    return true;
}

// Steps in which T sites are enough. True if the phase changed.
static bool try_quorum(struct gather *gather, enum gather_said step)
{
    struct site_set in;

    who_said(gather, step, &in);
    if (in.n >= gather->threshold) {
        if (step == SAID_CONSENT)
            announce_consents(gather, &in);
        else
            ask_for_sum(gather);
        return true;
    }
    if (in.n + n_awaited(gather) >= gather->threshold && !too_late(gather))
        return false;
    gather_abandon(gather, MESSAGE_CODE_QUORUM, "too few sites are left to open the sum");
    return true;
}

static bool advance_once(struct gather *gather)
{
    switch (gather->phase) {
    case GATHER_WAITING:
        return gather_try_open(gather);
    case GATHER_OPEN:
        return try_list(gather, SAID_ADVERT);
    case GATHER_SHARE:
        return try_list(gather, SAID_SHARES);
    case GATHER_MASKED:
        return try_list(gather, SAID_MASKED);
    case GATHER_CONSENT:
        return try_quorum(gather, SAID_CONSENT);
    case GATHER_UNMASK:
        return try_quorum(gather, SAID_UNMASK);
    case GATHER_IDLE:
    case GATHER_MERGE:
    case GATHER_PHASES:
    default:
        return false;
    }
}

void gather_advance(struct gather *gather)
{
    while (gather->running && gather->err == CHOIR_OK && advance_once(gather)) {
    }
}
