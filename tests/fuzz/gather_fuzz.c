/* The aggregator's machine under any sequence of messages and events: it never fails, never says
 * more than its bound, and what it journals can be replayed at any point.
 *
 * Each step is: event u8, length u16, bytes. A message's bytes are: kind u8, sender u8, round u8,
 * attempt u8, which transcript u8, body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "round/gather.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS_MAX = 120, SITES = 3 };

struct run {
    struct gather *gather, *replica; // the replica only replays what is journaled
    uint64_t now_ms;
    uint8_t r0[HASH_BYTES], sent[HASH_BYTES];
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

static void look_at(struct run *run, const struct gather_effects *effects)
{
    if (effects->n > GATHER_EFFECTS_MAX)
        abort();
    for (size_t i = 0; i < effects->n; i++) {
        const struct gather_effect *effect = &effects->item[i];

        if (effect->kind == GATHER_DO_JOURNAL &&
            gather_replay(run->replica, effect->journal.record, effect->journal.len) != CHOIR_OK)
            abort();
        if (effect->kind == GATHER_DO_SEND) // every body is still there when it is sent
            hash_bytes(run->sent, effect->send.body, effect->send.body_len);
        if (effect->kind == GATHER_DO_OPENED)
            memcpy(run->r0, effect->opened.r0, HASH_BYTES);
        if (effect->kind == GATHER_DO_MERGE && effect->merge.sites->n < run->terms.min_sites)
            abort();
    }
}

static void message_event(const struct run *run, struct view *view, struct incoming *message)
{
    message->signed_bytes = view->at;
    message->signed_len = view->left;
    message->kind = view_u8(view);
    message->sender = view_u8(view);
    message->round = view_u8(view);
    message->attempt = view_u8(view);
    if (view_u8(view) == 1)
        memcpy(message->transcript, run->r0, HASH_BYTES);
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

static void new_run(struct run *run)
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

    new_run(&run);
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
