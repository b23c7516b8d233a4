#include <stdio.h>
#include <string.h>

#include "round/gather_state.h"

static const uint8_t no_run[MESSAGE_RUN_BYTES];
static const uint8_t no_transcript[HASH_BYTES];

static bool same_session(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, MESSAGE_NONCE_BYTES) == 0;
}

void gather_drop(struct gather *gather, struct peer *peer, const char *why)
{
    if (!gather->opened || !peer->in_attempt || peer->dropped)
        return;
    peer->dropped = true;
    gather_report(gather, MESSAGE_CODE_LATE, peer->id, "site %u leaves the attempt: %s",
                  (unsigned)peer->id, why);
}

void gather_offer_plan(struct gather *gather, const struct site_set *to)
{
    struct msg_plan_offer *offer = &gather->answer.plan_offer;
    struct blob *kept = &gather->offer;

    if (to->n == 0)
        return;
    gather->answer.kind = MESSAGE_PLAN_OFFER;
    memcpy(offer->signature, gather->run.signature, SIGN_BYTES);
    offer->plan = gather->plan;
    offer->plan_len = gather->run.plan_len;
    if (kept->at == NULL)
        gather_keep(gather, kept);
    gather_send(gather, MESSAGE_PLAN_OFFER, kept, no_transcript, to);
}

static void welcome(struct gather *gather, const struct peer *peer)
{
    struct msg_welcome *answer = &gather->answer.welcome;

    gather->answer.kind = MESSAGE_WELCOME;
    memcpy(answer->session, peer->session, MESSAGE_NONCE_BYTES);
    memcpy(answer->boot, gather->settings.boot, MESSAGE_NONCE_BYTES);
    answer->log = gather->event->log;
    answer->heartbeat_ms = gather->settings.heartbeat_ms;
    answer->run_active = gather->running;
    gather_answer(gather, gather->running ? gather->run.run : no_run, 0, 0, peer->id);
}

// That the last run is over, a few times: one of them may be lost.
static void tell_run_end(struct gather *gather, struct peer *peer)
{
    size_t before = gather->effects->n;

    if (gather->running || gather->end.at == NULL || peer->n_told_end == GATHER_TELL_END)
        return;
    peer->n_told_end++;
    gather_send_one(gather, MESSAGE_RUN_END, &gather->end, no_transcript, peer->id);
    if (gather->effects->n > before)
        memcpy(gather->effects->item[before].send.run, gather->end_run, MESSAGE_RUN_BYTES);
}

static bool session_is_dead(const struct peer *peer, const uint8_t *session)
{
    for (size_t i = 0; i < peer->n_dead && i < GATHER_DEAD_SESSIONS; i++)
        if (same_session(peer->dead[i], session))
            return true;
    return false;
}

// The site was started again: its secrets of the attempt are gone.
static void new_session(struct gather *gather, struct peer *peer, const uint8_t *session)
{
    if (peer->joined)
        memcpy(peer->dead[peer->n_dead++ % GATHER_DEAD_SESSIONS], peer->session,
               MESSAGE_NONCE_BYTES);
    memcpy(peer->session, session, MESSAGE_NONCE_BYTES);
    peer->joined = true;
    peer->answered = false;
    peer->n_told_end = 0;
    peer->activity = MESSAGE_IDLE;
    gather_report(gather, MESSAGE_CODE_NONE, peer->id, "site %u has joined", (unsigned)peer->id);
    if (!same_session(peer->attempt_session, session))
        gather_drop(gather, peer, "it was started again");
}

void gather_on_join(struct gather *gather, struct peer *peer)
{
    const uint8_t *session = gather->message.join.session;
    struct site_set one = {.n = 1, .id = {peer->id}};

    if (session_is_dead(peer, session)) {
        gather_report(
            gather, MESSAGE_CODE_EQUIVOCATION, peer->id,
            "site %u joins with a session that had ended: a copy of it, or an old message",
            (unsigned)peer->id);
        return;
    }
    peer->seen_ms = gather->now_ms;
    peer->suites = gather->message.join.suites;
    if (!peer->joined || !same_session(peer->session, session))
        new_session(gather, peer, session);
    welcome(gather, peer);
    tell_run_end(gather, peer);
    if (!gather->running || !peer->in_plan || peer->suspended)
        return;
    gather_offer_plan(gather, &one);
    if (gather_awaited(gather, peer))
        gather_remind(gather, peer);
}

static bool knows_masks(const struct gather *gather, const struct peer *peer)
{
    return gather->run.suite == 0 || (peer->suites >> gather->run.suite & 1) != 0;
}

void gather_on_plan_answer(struct gather *gather, struct peer *peer, const struct incoming *message)
{
    const struct msg_plan_answer *answer = &gather->message.plan_answer;
    bool news;

    if (!gather->running || !peer->in_plan ||
        memcmp(message->run, gather->run.run, MESSAGE_RUN_BYTES) != 0 ||
        memcmp(answer->plan_hash, gather->run.plan_hash, HASH_BYTES) != 0)
        return;
    news = !peer->answered || peer->accepted != answer->accepted;
    peer->answered = true;
    peer->accepted = answer->accepted;
    peer->code = answer->code;
    peer->cohort = answer->minimum_cohort;
    if (!answer->accepted) {
        gather_drop(gather, peer, "it refuses the plan");
        if (news)
            gather_report(gather, answer->code, peer->id, "site %u refuses the plan: %.200s",
                          (unsigned)peer->id, answer->text);
    } else if (answer->minimum_cohort > gather->run.n_sites) {
        peer->accepted = false;
        peer->code = MESSAGE_CODE_POLICY;
        if (news)
            gather_report(gather, MESSAGE_CODE_POLICY, peer->id,
                          "site %u asks for at least %u sites, the plan has %zu",
                          (unsigned)peer->id, (unsigned)answer->minimum_cohort,
                          gather->run.n_sites);
    } else if (!knows_masks(gather, peer)) {
        peer->accepted = false;
        peer->code = MESSAGE_CODE_POLICY;
        if (news)
            gather_report(gather, MESSAGE_CODE_POLICY, peer->id,
                          "site %u does not know the masks of this plan (suite %u)",
                          (unsigned)peer->id, (unsigned)gather->run.suite);
    } else if (news) {
        gather_report(gather, MESSAGE_CODE_NONE, peer->id, "site %u accepts the plan",
                      (unsigned)peer->id);
    }
}

void gather_on_heartbeat(struct gather *gather, struct peer *peer)
{
    peer->activity = gather->message.heartbeat.activity;
    tell_run_end(gather, peer);
}

// Refusals that hold for the rest of the run, until the site says otherwise.
static bool lasting(enum message_code code)
{
    return code == MESSAGE_CODE_NOT_APPROVED || code == MESSAGE_CODE_BUDGET ||
           code == MESSAGE_CODE_POLICY || code == MESSAGE_CODE_DATA;
}

void gather_on_refuse(struct gather *gather, struct peer *peer, const struct incoming *message)
{
    const struct msg_refuse *refuse = &gather->message.refuse;

    if (!gather->opened || memcmp(message->run, gather->run.run, MESSAGE_RUN_BYTES) != 0 ||
        message->round != gather->round || message->attempt != gather->attempt || !peer->in_attempt)
        return;
    if (lasting(refuse->code)) {
        peer->answered = true;
        peer->accepted = false;
        peer->code = refuse->code;
    }
    gather_report(gather, refuse->code, peer->id, "site %u refuses %s: %.200s", (unsigned)peer->id,
                  message_name(refuse->of), refuse->text);
    if (refuse->code == MESSAGE_CODE_SHARE && gather->run.suite > 0)
        gather_on_bad_share(gather, peer, message);
    gather_drop(gather, peer, message_code_text(refuse->code));
}

void gather_on_leave(struct gather *gather, struct peer *peer)
{
    gather_drop(gather, peer, "it says goodbye");
    gather_report(gather, gather->message.leave.code, peer->id, "site %u leaves: %.200s",
                  (unsigned)peer->id, gather->message.leave.text);
    memcpy(peer->dead[peer->n_dead++ % GATHER_DEAD_SESSIONS], peer->session, MESSAGE_NONCE_BYTES);
    peer->joined = false;
}

void gather_suspend(struct gather *gather, struct peer *peer, enum message_code code,
                    const struct blob *first, const struct incoming *second)
{
    struct journal_suspend *suspend = &gather->record.suspend;

    if (peer->suspended)
        return;
    gather->record.kind = JOURNAL_SUSPEND;
    suspend->site = peer->id;
    suspend->code = code;
    suspend->first = first != NULL ? first->at : NULL;
    suspend->first_len = first != NULL ? first->len : 0;
    suspend->second = second->signed_bytes;
    suspend->second_len = second->signed_len <= JOURNAL_EVIDENCE_MAX ? second->signed_len : 0;
    gather_journal(gather);
    peer->suspended = true;
    peer->code = code;
    gather_report(gather, code, peer->id, "site %u is suspended for this run: %s",
                  (unsigned)peer->id, message_code_text(code));
    gather_drop(gather, peer, "it broke the protocol");
}

void gather_on_upload_forged(struct gather *gather, const struct gather_event *event)
{
    static const uint8_t nothing[1] = {0};
    const struct incoming no_second = {.signed_bytes = nothing};
    struct peer *peer = gather_peer(gather, event->site);
    struct heard *header;
    struct blob first;

    if (peer == NULL || !gather->opened || gather->phase != GATHER_MASKED)
        return;
    header = &peer->heard[SAID_MASKED];
    first = (struct blob){.at = header->signed_bytes, .len = header->signed_len};
    if (header->here && memcmp(peer->root, event->hash, HASH_BYTES) == 0)
        gather_suspend(gather, peer, MESSAGE_CODE_FORMAT, &first, &no_second);
}

// A text that can be sent: control characters become question marks.
static void clean_text(char *to, size_t max, const char *from)
{
    snprintf(to, max, "%s", from);
    for (size_t i = 0; to[i] != '\0'; i++)
        if ((unsigned char)to[i] < 0x20 || to[i] == 0x7f)
            to[i] = '?';
}

void gather_end_run(struct gather *gather, enum message_code code, const char *text)
{
    struct msg_run_end *end = &gather->answer.run_end;
    struct gather_effect *effect;
    struct site_set to;

    gather->record.kind = JOURNAL_RUN_END;
    gather->record.end.code = code;
    gather->record.end.rounds = gather->closed;
    gather_journal(gather);

    gather->answer.kind = MESSAGE_RUN_END;
    end->code = code;
    end->rounds = gather->closed;
    memcpy(end->model_hash, gather->run.model_hash, HASH_BYTES);
    clean_text(end->text, sizeof end->text, text);
    gather_keep(gather, &gather->end);
    memcpy(gather->end_run, gather->run.run, MESSAGE_RUN_BYTES);

    effect = gather_effect_add(gather, GATHER_DO_RUN_END);
    effect->ended.code = code;
    effect->ended.rounds = gather->closed;
    memcpy(effect->ended.model_hash, gather->run.model_hash, HASH_BYTES);
    clean_text(effect->ended.text, sizeof effect->ended.text, text);
    gather_everybody(gather, &to);
    for (size_t i = 0; i < gather->n_peers; i++)
        gather->peer[i].n_told_end = 0;
    gather_send(gather, MESSAGE_RUN_END, &gather->end, no_transcript, &to);
    gather->running = false;
    gather->opened = false;
    gather->phase = GATHER_IDLE;
    gather->reason[0] = '\0';
}
