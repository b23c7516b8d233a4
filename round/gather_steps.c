#include <stdio.h>
#include <string.h>

#include "round/gather_state.h"

// The peer of a member of a set, all of which are taken in order: both lists ascend by id, and this
// is done for every message of a thousand sites.
static const struct peer *next_peer(const struct gather *gather, size_t *at, uint32_t id)
{
    while (gather->peer[*at].id != id)
        (*at)++;
    return &gather->peer[*at];
}

// The members of `step` that said their part; those that dropped out later count only where
// their part can be used without them.
static void who_said(const struct gather *gather, enum gather_said step, struct site_set *set)
{
    const struct site_set *members = &gather->members[step];
    size_t at = 0;

    set->n = 0;
    for (size_t i = 0; i < members->n; i++) {
        const struct peer *peer = next_peer(gather, &at, members->id[i]);

        if (gather_has_said(peer, step) && !peer->suspended &&
            (step >= SAID_MASKED || !peer->dropped))
            set->id[set->n++] = peer->id;
    }
}

void gather_said_list(struct gather *gather, enum gather_said step, const struct site_set *set)
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

void gather_link_transcript(struct gather *gather, unsigned step)
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
    gather_said_list(gather, SAID_ADVERT, v1);
    gather_link_transcript(gather, 1);
    if (gather->run.suite > 0 && gather->err == CHOIR_OK)
        unmasking_set_v1(gather->unmasking, v1, gather->r[1]);
    gather->answer.kind = MESSAGE_ADVERTS;
    envelope_list(gather, SAID_ADVERT, v1, &gather->answer.adverts.adverts);
    gather_keep(gather, &gather->said[1]);
    gather_enter(gather, GATHER_SHARE);
    gather_send(gather, MESSAGE_ADVERTS, &gather->said[1], gather_transcript(gather, 1), v1);
}

static void announce_shares(struct gather *gather, const struct site_set *v2)
{
    report_missing(gather, SAID_SHARES, v2);
    gather->members[SAID_MASKED] = *v2;
    gather_said_list(gather, SAID_SHARES, v2);
    gather_link_transcript(gather, 2);
    if (gather->run.suite == 0) {
        gather_shares_for(gather, 0);
        gather_keep(gather, &gather->said[2]);
    } else {
        gather_forget_body(gather, &gather->said[2]); // each site gets its own
    }
    gather_enter(gather, GATHER_MASKED);
    gather_send(gather, MESSAGE_SHARES_ALL, &gather->said[2], gather_transcript(gather, 2), v2);
}

static void announce_survivors(struct gather *gather, const struct site_set *u)
{
    struct journal_survivors *record = &gather->record.survivors;

    report_missing(gather, SAID_MASKED, u);
    gather->members[SAID_CONSENT] = *u;
    gather->members[SAID_UNMASK] = *u;
    for (size_t i = 0; i < u->n; i++)
        memcpy(gather->roots[i], gather_peer(gather, u->id[i])->root, HASH_BYTES);
    gather_said_list(gather, SAID_MASKED, u);
    gather_link_transcript(gather, 3);
    gather->answer.kind = MESSAGE_SURVIVORS;
    memcpy(gather->answer.survivors.r3, gather->r[3], HASH_BYTES);
    envelope_list(gather, SAID_MASKED, u, &gather->answer.survivors.headers);
    gather_keep(gather, &gather->said[3]);

    gather->record.kind = JOURNAL_SURVIVORS;
    record->round = gather->round;
    record->attempt = gather->attempt;
    memcpy(record->r2, gather->r[2], HASH_BYTES);
    gather_said_list(gather, SAID_SHARES, &gather->members[SAID_MASKED]);
    record->bundles = gather->list;
    record->adverts = gather->run.suite > 0 ? gather->said[1].at : NULL;
    record->adverts_len = gather->run.suite > 0 ? gather->said[1].len : 0;
    record->body = gather->said[3].at;
    record->body_len = gather->said[3].len;
    gather_journal(gather);

    if (gather->run.suite > 0)
        gather_masks_settle(gather);
    gather_log_survivors(gather);
    gather_reset_uploads(gather, u);
    gather_enter(gather, GATHER_CONSENT);
    gather_send(gather, MESSAGE_SURVIVORS, &gather->said[3], gather_transcript(gather, 3),
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
    gather_send(gather, MESSAGE_CONSENTS, &gather->said[4], gather_transcript(gather, 4),
                &gather->members[SAID_UNMASK]);
}

static void ask_for_sum(struct gather *gather)
{
    struct gather_effect *effect = gather_effect_add(gather, GATHER_DO_MERGE);

    effect->merge.round = gather->round;
    effect->merge.attempt = gather->attempt;
    effect->merge.sites = &gather->members[SAID_UNMASK];
    effect->merge.roots = gather->roots;
    effect->merge.unmask = gather->unmask;
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

// The same without those that have been silent for so long that they count as missing.
static size_t n_waited_for(const struct gather *gather)
{
    size_t n = 0;

    for (size_t i = 0; i < gather->n_peers; i++)
        if (gather_awaited(gather, &gather->peer[i]) && gather_present(gather, &gather->peer[i]))
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
    size_t n = 0, at = 0;

    for (size_t i = 0; i < set->n; i++) {
        const struct peer *peer = next_peer(gather, &at, set->id[i]);

        if (!peer->dropped && !peer->suspended)
            n++;
    }
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
    if ((enough ? n_waited_for(gather) : awaited) > 0 && !too_late(gather))
        return false;
    if (enough && gather->run.suite > 0 && step <= SAID_SHARES) {
        gather_masks_prune(gather, &in);
        enough = in.n >= gather->minimum;
    }
    if (!enough)
        gather_abandon(gather, MESSAGE_CODE_LATE, "too few sites answered in time");
    else if (gather->run.suite > 0 && step == SAID_MASKED && !gather_masks_reach(gather, &in))
        gather_abandon(gather, MESSAGE_CODE_QUORUM, "too many neighbours of a site dropped out");
    else if (step == SAID_ADVERT)
        announce_adverts(gather, &in);
    else if (step == SAID_SHARES)
        announce_shares(gather, &in);
    else
        announce_survivors(gather, &in);
    return true;
}

// Steps in which T sites are enough; with masks on more may be needed to open the sum. True if the
// phase changed.
static bool try_quorum(struct gather *gather, enum gather_said step)
{
    struct site_set in;
    size_t awaited = n_awaited(gather);

    who_said(gather, step, &in);
    if (in.n >= gather->threshold && step == SAID_CONSENT) {
        announce_consents(gather, &in);
        return true;
    }
    if (in.n >= gather->threshold && (gather->run.suite == 0 || gather_unmask(gather))) {
        ask_for_sum(gather);
        return true;
    }
    if (gather->err != CHOIR_OK ||
        (awaited > 0 && in.n + awaited >= gather->threshold && !too_late(gather)))
        return false;
    gather_abandon(gather, MESSAGE_CODE_QUORUM,
                   in.n < gather->threshold ? "too few sites are left to open the sum"
                                            : "the shares that came do not open the sum");
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
