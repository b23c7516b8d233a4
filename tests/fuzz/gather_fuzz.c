/* The aggregator's machine under any sequence of messages and events: it never fails, never says
 * more than its bound, and what it journals can be replayed at any point.
 *
 * Each step is: event u8, length u16, bytes. A message's bytes are: kind u8, sender u8, round u8,
 * attempt u8, which transcript u8 (1: R0, ... 4: R3), body. A first byte of 255 stands for a run
 * with masks on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "round/gather.h"
#include "round/transcript.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS_MAX = 120, SITES = 3, MASKS_ON = 255 };

struct run {
    struct gather *gather, *replica; // the replica only replays what is journaled
    uint64_t now_ms;
    uint8_t r[4][HASH_BYTES], sent[HASH_BYTES];
    struct gather_run terms;
};

static enum choir_err open_any(const void *context, const uint8_t *bytes, size_t len,
                               struct incoming *out)
{
    struct view view = view_over(bytes, len);

    (void)context;
    memset(out, 0, sizeof *out);
    out->kind = view_u8(&view);
    out->sender = view_u8(&view);
    out->round = view_u8(&view);
    out->attempt = view_u8(&view);
    (void)view_u8(&view);
    out->body_len = view.left;
    out->body = view_take(&view, view.left);
    return view.failed ? CHOIR_ERR_FORMAT : CHOIR_OK;
}

static void link_transcript(struct run *run, unsigned step, const struct said *said)
{
    if (transcript_next(run->r[step], step, run->r[step - 1], said) != CHOIR_OK)
        abort();
}

// R1 and R2, from what the first receiver gets.
static void follow_transcript(struct run *run, enum message_kind kind, const uint8_t *body,
                              size_t len)
{
    static struct message message;
    static struct said said;
    struct incoming item;

    if (message_decode((uint16_t)kind, body, len, &message) != CHOIR_OK)
        abort();
    said.n = 0;
    if (kind == MESSAGE_ADVERTS) {
        for (; said.n < message.adverts.adverts.n; said.n++) {
            if (open_any(NULL, message.adverts.adverts.item[said.n].at,
                         message.adverts.adverts.item[said.n].len, &item) != CHOIR_OK)
                abort();
            said.id[said.n] = item.sender;
            hash_bytes(said.hash[said.n], item.body, item.body_len);
        }
        link_transcript(run, 1, &said);
    } else if (kind == MESSAGE_SHARES_ALL) {
        for (; said.n < message.shares_all.n; said.n++) {
            said.id[said.n] = message.shares_all.bundle[said.n].from;
            memcpy(said.hash[said.n], message.shares_all.bundle[said.n].bundle_hash, HASH_BYTES);
        }
        link_transcript(run, 2, &said);
    }
}

// Every body is still there when it is sent; those of a step that also ended the attempt may be
// gone, as there is nothing to send.
static void look_at_body(struct run *run, const struct gather_effect *effect)
{
    const uint8_t *body;
    size_t len;

    for (size_t i = 0; i < effect->send.to->n; i++) {
        if (gather_body(run->gather, effect, effect->send.to->id[i], &body, &len) != CHOIR_OK) {
            if (effect->send.body != NULL)
                abort();
            continue;
        }
        hash_bytes(run->sent, body, len);
        if (i == 0)
            follow_transcript(run, effect->send.kind, body, len);
    }
}

static void look_at(struct run *run, const struct gather_effects *effects)
{
    if (effects->n > GATHER_EFFECTS_MAX)
        abort();
    for (size_t i = 0; i < effects->n; i++) {
        const struct gather_effect *effect = &effects->item[i];

        if (effect->kind == GATHER_DO_JOURNAL &&
            gather_replay(run->replica, effect->journal.record, effect->journal.len) != CHOIR_OK)
            abort();
        if (effect->kind == GATHER_DO_SEND)
            look_at_body(run, effect);
        if (effect->kind == GATHER_DO_OPENED)
            memcpy(run->r[0], effect->opened.r0, HASH_BYTES);
        if (effect->kind == GATHER_DO_SURVIVORS)
            memcpy(run->r[3], effect->survivors.r3, HASH_BYTES);
        if (effect->kind == GATHER_DO_MERGE &&
            (effect->merge.unmask != NULL) != (run->terms.suite > 0))
            abort();
        if (effect->kind == GATHER_DO_MERGE && effect->merge.sites->n < run->terms.min_sites)
            abort();
    }
}

static void message_event(const struct run *run, struct view *view, struct incoming *message)
{
    uint8_t which;

    message->signed_bytes = view->at;
    message->signed_len = view->left;
    message->kind = view_u8(view);
    message->sender = view_u8(view);
    message->round = view_u8(view);
    message->attempt = view_u8(view);
    which = view_u8(view);
    if (which >= 1 && which <= 4)
        memcpy(message->transcript, run->r[which - 1], HASH_BYTES);
    message->body_len = view->left;
    message->body = view_take(view, view->left);
}

static void step(struct run *run, uint8_t kind, struct view view)
{
    struct incoming message = {.body = NULL};
    struct gather_event event = {.kind = (enum gather_event_kind)(kind % (GATHER_TICK + 1)),
                                 .now_ms = run->now_ms += 100,
                                 .run = &run->terms,
                                 .message = &message};
    struct gather_effects effects;

    if (event.kind == GATHER_MESSAGE) {
        message_event(run, &view, &message);
    } else {
        event.site = view_u8(&view);
        event.round = view_u8(&view);
        event.now_ms = run->now_ms += (uint64_t)view_u8(&view) * 10;
    }
    if (view.failed)
        return;
    if (gather_step(run->gather, &event, &effects) != CHOIR_OK)
        abort();
    look_at(run, &effects);
}

static void new_run(struct run *run, bool masks)
{
    static struct gather_settings settings = {
        .resend_ms = 500, .heartbeat_ms = 300, .roster = {.n = SITES, .id = {1, 2, 3}}};

    memset(run, 0, sizeof *run);
    settings.open = open_any;
    if (gather_new(&settings, &run->gather) != CHOIR_OK ||
        gather_new(&settings, &run->replica) != CHOIR_OK)
        abort();
    run->terms = (struct gather_run){.plan = (const uint8_t *)"{}",
                                     .plan_len = 2,
                                     .rounds = 3,
                                     .n_parameters = 10,
                                     .update_bytes = 44,
                                     .lane_bits = 32,
                                     .suite = masks ? 1 : 0,
                                     .min_sites = 2,
                                     .deadline_ms = 1000,
                                     .n_sites = SITES};
    for (uint32_t i = 0; i < SITES; i++)
        run->terms.site[i] = (struct gather_site){.id = i + 1, .nominal_size = 100};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct run run;
    struct view view = view_over(data, len);

    new_run(&run, len > 0 && data[0] == MASKS_ON);
    if (run.terms.suite > 0)
        (void)view_u8(&view);
    for (size_t i = 0; i < STEPS_MAX && view.left > 0 && !view.failed; i++) {
        uint8_t kind = view_u8(&view);
        size_t part = view_u16(&view);
        const uint8_t *bytes;

        if (part > view.left)
            part = view.left;
        bytes = view_take(&view, part);
        if (bytes != NULL)
            step(&run, kind, view_over(bytes, part));
    }
    gather_free(run.gather);
    gather_free(run.replica);
    return 0;
}
