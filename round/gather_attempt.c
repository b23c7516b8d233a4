#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "round/gather_state.h"

static const uint8_t no_transcript[HASH_BYTES];

static const enum message_kind phase_message[SAID_STEPS] = {
    MESSAGE_ROUND_OPEN, MESSAGE_ADVERTS, MESSAGE_SHARES_ALL, MESSAGE_SURVIVORS, MESSAGE_CONSENTS};

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HASH_BYTES) == 0;
}

const uint8_t *gather_transcript(const struct gather *gather, size_t step)
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

bool gather_has_said(const struct peer *peer, enum gather_said step)
{
    return peer->heard[step].here && (step != SAID_MASKED || peer->uploaded);
}

bool gather_answered(const struct gather *gather, const struct peer *peer)
{
    if (gather->phase == GATHER_MERGE)
        return site_set_has(&gather->members[SAID_UNMASK], peer->id);
    return in_steps(gather->phase) && gather_has_said(peer, step_of_phase(gather->phase));
}

bool gather_awaited(const struct gather *gather, const struct peer *peer)
{
    return gather->opened && in_steps(gather->phase) && !peer->dropped && !peer->suspended &&
           !gather_has_said(peer, step_of_phase(gather->phase)) &&
           site_set_has(&gather->members[step_of_phase(gather->phase)], peer->id);
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
        free(peer->bundle.at);
        peer->bundle = (struct blob){.at = NULL};
        for (size_t step = 0; step < SAID_STEPS; step++)
            peer->heard[step].here = false;
    }
    gather->opened = false;
    gather_forget_masks(gather);
}

void gather_remind(struct gather *gather, const struct peer *peer)
{
    size_t step = step_of_phase(gather->phase);

    gather_send_one(gather, phase_message[step], &gather->said[step],
                    gather_transcript(gather, step), peer->id);
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
    gather_send(gather, MESSAGE_ROUND_OPEN, &gather->said[0], gather_transcript(gather, 0), &open);
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

    // Who has not got its shares when the survivors are known is none of them.
    if (gather->run.suite > 0 && step == SAID_SHARES && gather->phase > GATHER_MASKED)
        return;
    if (next < SAID_STEPS && gather->phase > (enum gather_phase)(GATHER_OPEN + step))
        gather_send_one(gather, phase_message[next], &gather->said[next],
                        gather_transcript(gather, next), peer->id);
    else if (step == SAID_MASKED && !peer->uploaded)
        expect_upload(gather, peer);
}

// True if the decoded body is one that this attempt can use.
static bool body_fits(struct gather *gather, const struct peer *peer, enum gather_said step)
{
    const struct message *message = &gather->message;
    uint16_t suite = gather->run.suite;

    switch (step) {
    case SAID_ADVERT:
        return message->advertise.suite == suite;
    case SAID_SHARES:
        return message->shares.suite == suite && gather_masks_fit(gather, peer, step);
    case SAID_MASKED:
        return message->masked.suite == suite && same(message->masked.r2, gather->r[2]) &&
               message->masked.site == peer->id &&
               message->masked.n_parameters == gather->run.n_parameters &&
               message->masked.lane_bits == gather->run.lane_bits &&
               message->masked.bytes == gather->run.update_bytes;
    case SAID_CONSENT:
        return same(message->consent.r2, gather->r[2]) && same(message->consent.r3, gather->r[3]);
    case SAID_UNMASK:
        return message->unmask.suite == suite && gather_masks_fit(gather, peer, step);
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

    if (!gather_masks_hear(gather, peer, message, step)) {
        tell_over(gather, message, MESSAGE_CODE_FORMAT);
        return;
    }
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
    struct blob first = {.at = heard->signed_bytes, .len = heard->signed_len};
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
        gather_suspend(gather, peer, MESSAGE_CODE_EQUIVOCATION,
                       step == SAID_SHARES && peer->bundle.at != NULL ? &peer->bundle : &first,
                       message);
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

void gather_reset_uploads(struct gather *gather, const struct site_set *but)
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
        gather_reset_uploads(gather, NULL);
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
    gather_reset_uploads(gather, NULL);
    gather_clear_attempt(gather);
    if (gather->attempt < 10)
        pause *= gather->attempt;
    else
        pause *= 10;
    gather_wait(gather, gather->now_ms +
                            (pause > gather->run.deadline_ms ? gather->run.deadline_ms : pause));
}
