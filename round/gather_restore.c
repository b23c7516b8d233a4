#include <stdlib.h>
#include <string.h>

#include "round/gather_state.h"

static enum choir_err keep_copy(struct blob *blob, const uint8_t *at, size_t len)
{
    uint8_t *copy = realloc(blob->at, len > 0 ? len : 1);

    if (copy == NULL)
        return CHOIR_ERR_MEMORY;
    memcpy(copy, at, len);
    *blob = (struct blob){.at = copy, .len = len};
    return CHOIR_OK;
}

static enum choir_err replay_start(struct gather *gather, const struct gather_run *run)
{
    uint8_t *plan;

    if (gather->running)
        return CHOIR_ERR_FORMAT;
    for (size_t i = 0; i < run->n_sites; i++)
        if (gather_peer(gather, run->site[i].id) == NULL)
            return CHOIR_ERR_FORMAT;
    plan = malloc(run->plan_len);
    if (plan == NULL)
        return CHOIR_ERR_MEMORY;
    memcpy(plan, run->plan, run->plan_len);
    free(gather->plan);
    free(gather->offer.at);
    gather->offer = (struct blob){.at = NULL};
    gather->plan = plan;
    gather->run = *run;
    gather->run.plan = plan;
    gather_clear_attempt(gather);
    for (size_t i = 0; i < gather->n_peers; i++) {
        struct peer *peer = &gather->peer[i];

        peer->in_plan = false;
        peer->answered = false;
        peer->accepted = false;
        peer->suspended = false;
        peer->code = MESSAGE_CODE_NONE;
        peer->cohort = 0;
    }
    for (size_t i = 0; i < run->n_sites; i++) {
        struct peer *peer = gather_peer(gather, run->site[i].id);

        peer->in_plan = true;
        peer->nominal_size = run->site[i].nominal_size;
    }
    gather->running = true;
    gather->round = 1;
    gather->closed = 0;
    gather->attempt = 0;
    gather->threshold = 0;
    gather->minimum = 0;
    gather->close_round = 0;
    gather->n_accusations = 0;
    return CHOIR_OK;
}

static bool open_follows(const struct gather *gather, const struct msg_round_open *open)
{
    return gather->running && !gather->opened && open->round == gather->round &&
           open->attempt == gather->attempt + 1 &&
           memcmp(open->run, gather->run.run, MESSAGE_RUN_BYTES) == 0 &&
           site_set_within(&open->sites, &gather->settings.roster);
}

static enum choir_err replay_open(struct gather *gather, const struct journal_open *record)
{
    const struct msg_round_open *open = &gather->answer.round_open;
    enum choir_err err =
        message_decode(MESSAGE_ROUND_OPEN, record->body, record->body_len, &gather->answer);

    if (err != CHOIR_OK)
        return err;
    if (!open_follows(gather, open) || record->n != open->sites.n ||
        open->suite != gather->run.suite)
        return CHOIR_ERR_FORMAT;
    err = keep_copy(&gather->said[0], record->body, record->body_len);
    if (err != CHOIR_OK)
        return err;
    gather->err = CHOIR_OK;
    gather_take_open(gather);
    for (size_t i = 0; i < record->n; i++)
        memcpy(gather_peer(gather, open->sites.id[i])->attempt_session, record->session[i],
               MESSAGE_NONCE_BYTES);
    return gather->err;
}

static bool is_attempt(const struct gather *gather, uint64_t round, uint32_t attempt)
{
    return gather->running && gather->opened && round == gather->round &&
           attempt == gather->attempt;
}

// Takes header `i` of a SURVIVORS body: sender, root, body hash.
static enum choir_err take_header(struct gather *gather, const struct envelope_list *headers,
                                  size_t i, struct site_set *u)
{
    struct incoming item;
    struct peer *peer;
    enum choir_err err = gather->settings.open(gather->settings.open_context, headers->item[i].at,
                                               headers->item[i].len, &item);

    if (err != CHOIR_OK)
        return err;
    peer = gather_peer(gather, item.sender);
    if (peer == NULL || item.kind != MESSAGE_MASKED || !site_set_add(u, item.sender) ||
        u->id[i] != item.sender)
        return CHOIR_ERR_FORMAT;
    err = message_decode(MESSAGE_MASKED, item.body, item.body_len, &gather->answer);
    if (err != CHOIR_OK)
        return err;
    memcpy(gather->roots[i], gather->answer.masked.root, HASH_BYTES);
    memcpy(peer->root, gather->answer.masked.root, HASH_BYTES);
    peer->uploaded = true;
    peer->heard[SAID_MASKED].here = true;
    hash_bytes(peer->heard[SAID_MASKED].hash, item.body, item.body_len);
    memcpy(peer->heard[SAID_MASKED].signed_bytes, headers->item[i].at, headers->item[i].len);
    peer->heard[SAID_MASKED].signed_len = headers->item[i].len;
    return CHOIR_OK;
}

static enum choir_err replay_survivors(struct gather *gather,
                                       const struct journal_survivors *record)
{
    const struct msg_survivors *survivors = &gather->message.survivors;
    struct site_set *shared = &gather->members[SAID_MASKED];
    struct site_set *u = &gather->members[SAID_CONSENT];
    enum choir_err err =
        message_decode(MESSAGE_SURVIVORS, record->body, record->body_len, &gather->message);

    if (err != CHOIR_OK)
        return err;
    if (!is_attempt(gather, record->round, record->attempt) || gather->phase != GATHER_OPEN)
        return CHOIR_ERR_FORMAT;
    shared->n = record->bundles.n;
    memcpy(shared->id, record->bundles.id, shared->n * sizeof shared->id[0]);
    if (!site_set_within(shared, &gather->members[0]))
        return CHOIR_ERR_FORMAT;
    u->n = 0;
    for (size_t i = 0; i < survivors->headers.n; i++) {
        err = take_header(gather, &survivors->headers, i, u);
        if (err != CHOIR_OK)
            return err;
    }
    if (!site_set_within(u, shared))
        return CHOIR_ERR_FORMAT;
    gather->members[SAID_SHARES] = *shared; // with masks on V1 follows, in gather_masks_resume()
    gather->members[SAID_UNMASK] = *u;
    memcpy(gather->r[2], record->r2, HASH_BYTES);
    memcpy(gather->r[3], survivors->r3, HASH_BYTES);
    err = keep_copy(&gather->said[3], record->body, record->body_len);
    if (err == CHOIR_OK && gather->run.suite > 0)
        err = keep_copy(&gather->said[1], record->adverts, record->adverts_len);
    for (size_t i = 0; err == CHOIR_OK && i < record->bundles.n; i++)
        memcpy(gather_peer(gather, record->bundles.id[i])->heard[SAID_SHARES].hash,
               record->bundles.hash[i], HASH_BYTES);
    if (err != CHOIR_OK)
        return err;
    gather->restored = true;
    gather_enter(gather, GATHER_CONSENT);
    return CHOIR_OK;
}

static enum choir_err replay_reveal(struct gather *gather, const struct journal_reveal *record)
{
    if (!is_attempt(gather, record->round, record->attempt) || gather->phase != GATHER_CONSENT)
        return CHOIR_ERR_FORMAT;
    gather->revealed = true;
    gather_enter(gather, GATHER_UNMASK);
    return keep_copy(&gather->said[4], record->body, record->body_len);
}

static void to_next_round(struct gather *gather)
{
    gather_clear_attempt(gather);
    gather->revealed = false;
    gather->round++;
    gather->attempt = 0;
    gather->threshold = 0;
    gather->minimum = 0;
}

static enum choir_err replay_close(struct gather *gather, const struct journal_close *record)
{
    const struct msg_round_close *close = &gather->answer.round_close;
    enum choir_err err =
        message_decode(MESSAGE_ROUND_CLOSE, record->body, record->body_len, &gather->answer);

    if (err != CHOIR_OK)
        return err;
    if (!is_attempt(gather, record->round, record->attempt) || gather->phase != GATHER_UNMASK)
        return CHOIR_ERR_FORMAT;
    gather->close_round = record->round;
    gather->close_attempt = record->attempt;
    memcpy(gather->close_r3, close->r3, HASH_BYTES);
    memcpy(gather->run.model_hash, close->model_hash, HASH_BYTES);
    gather->closed++;
    to_next_round(gather);
    return keep_copy(&gather->close, record->body, record->body_len);
}

static enum choir_err replay_attempt(struct gather *gather, enum journal_kind kind,
                                     const struct journal_attempt *record)
{
    // A lost round has had an attempt, which may be abandoned already.
    if (!gather->running || record->round != gather->round || record->attempt != gather->attempt ||
        (kind == JOURNAL_ABANDON && (!gather->opened || gather->revealed)))
        return CHOIR_ERR_FORMAT;
    if (kind == JOURNAL_LOST)
        to_next_round(gather);
    else
        gather_clear_attempt(gather);
    return CHOIR_OK;
}

static enum choir_err replay_suspend(struct gather *gather, const struct journal_suspend *record)
{
    struct peer *peer = gather_peer(gather, record->site);

    if (!gather->running || peer == NULL)
        return CHOIR_ERR_FORMAT;
    peer->suspended = true;
    peer->code = record->code;
    return CHOIR_OK;
}

static enum choir_err replay_end(struct gather *gather, const struct journal_end *record)
{
    struct msg_run_end *end = &gather->answer.run_end;

    if (!gather->running || record->rounds != gather->closed)
        return CHOIR_ERR_FORMAT;
    gather->answer.kind = MESSAGE_RUN_END;
    end->code = record->code;
    end->rounds = record->rounds;
    memcpy(end->model_hash, gather->run.model_hash, HASH_BYTES);
    end->text[0] = '\0';
    gather->err = CHOIR_OK;
    gather_keep(gather, &gather->end);
    gather_forget_replaced(gather); // no effects are out
    memcpy(gather->end_run, gather->run.run, MESSAGE_RUN_BYTES);
    gather_clear_attempt(gather);
    gather->running = false;
    gather->phase = GATHER_IDLE;
    return gather->err;
}

enum choir_err gather_replay(struct gather *gather, const uint8_t *record, size_t len)
{
    enum choir_err err = journal_decode(record, len, &gather->record);

    if (err != CHOIR_OK)
        return err;
    switch (gather->record.kind) {
    case JOURNAL_RUN_START:
        return replay_start(gather, &gather->record.start.run);
    case JOURNAL_ROUND_OPEN:
        return replay_open(gather, &gather->record.open);
    case JOURNAL_SURVIVORS:
        return replay_survivors(gather, &gather->record.survivors);
    case JOURNAL_REVEAL:
        return replay_reveal(gather, &gather->record.reveal);
    case JOURNAL_CLOSE:
        return replay_close(gather, &gather->record.close);
    case JOURNAL_ABANDON:
    case JOURNAL_LOST:
        return replay_attempt(gather, gather->record.kind, &gather->record.attempt);
    case JOURNAL_SUSPEND:
        return replay_suspend(gather, &gather->record.suspend);
    case JOURNAL_RUN_END:
        return replay_end(gather, &gather->record.end);
    case JOURNAL_KINDS:
    default:
        return CHOIR_ERR_FORMAT;
    }
}
