/* The site's machine under any sequence of messages and events: it never fails, never says more
 * than its bound, and never reveals without a stored mark.
 *
 * Each step is: event u8, length u16, bytes. A message's bytes are: kind u8, round u8, attempt u8,
 * which transcript u8, body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "round/site.h"
#include "round/transcript.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS_MAX = 200 };

struct run {
    struct site *site;
    uint64_t now_ms;
    uint8_t r0[HASH_BYTES], sent[HASH_BYTES];
    bool revealed;
};

static enum choir_err open_any(const void *context, const uint8_t *bytes, size_t len,
                               struct incoming *out)
{
    struct view view = view_over(bytes, len);

    memset(out, 0, sizeof *out);
    out->kind = view_u8(&view);
    out->round = view_u8(&view);
    out->attempt = view_u8(&view);
    out->sender = view_u8(&view);
    memcpy(out->transcript, context, HASH_BYTES);
    out->body_len = view.left;
    out->body = view_take(&view, view.left);
    out->signed_bytes = bytes;
    out->signed_len = len;
    return view.failed ? CHOIR_ERR_FORMAT : CHOIR_OK;
}

static void look_at(struct run *run, const struct site_effects *effects)
{
    if (effects->n > SITE_EFFECTS_MAX)
        abort();
    for (size_t i = 0; i < effects->n; i++) {
        const struct site_effect *effect = &effects->item[i];

        if (effect->kind == SITE_DO_SEND)
            hash_bytes(run->sent, effect->send.body, effect->send.body_len);
        if (effect->kind == SITE_DO_STORE_MARK)
            run->revealed = effect->mark.revealed;
        if (effect->kind == SITE_DO_SEND && effect->send.kind == MESSAGE_UNMASK && !run->revealed)
            abort();
    }
}

static void message_event(struct run *run, struct view *view, struct incoming *message)
{
    static const uint8_t roster_hash[HASH_BYTES];

    message->kind = view_u8(view);
    message->round = view_u8(view);
    message->attempt = view_u8(view);
    if (view_u8(view) == 1)
        memcpy(message->transcript, run->r0, HASH_BYTES);
    message->body_len = view->left;
    message->body = view_take(view, view->left);
    if (message->kind == MESSAGE_ROUND_OPEN &&
        transcript_open(run->r0, roster_hash, message->body, message->body_len) != CHOIR_OK)
        abort();
}

static void step(struct run *run, uint8_t kind, struct view view)
{
    struct site_plan plan = {
        .accepted = true, .rounds = 200, .n_parameters = 10, .lane_bits = 32, .min_sites = 1};
    struct incoming message = {.body = NULL};
    struct site_event event = {.kind = (enum site_event_kind)(kind % (SITE_TICK + 1)),
                               .now_ms = run->now_ms += 100,
                               .message = &message,
                               .plan = &plan};
    struct site_effects effects;

    if (event.kind == SITE_MESSAGE) {
        message_event(run, &view, &message);
    } else {
        event.round = view_u8(&view);
        event.attempt = view_u8(&view);
        event.update.bytes = 44;
        event.code = MESSAGE_CODE_BUDGET;
    }
    if (view.failed)
        return;
    if (site_step(run->site, &event, &effects) != CHOIR_OK)
        abort();
    look_at(run, &effects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct run run;
    static struct site_settings settings = {
        .id = 1, .resend_ms = 500, .heartbeat_ms = 300, .roster = {.n = 3, .id = {1, 2, 3}}};
    struct view view = view_over(data, len);

    memset(&run, 0, sizeof run);
    settings.open = open_any;
    settings.open_context = run.r0;
    if (site_new(&settings, &run.site) != CHOIR_OK)
        return 0;
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
    site_free(run.site);
    return 0;
}
