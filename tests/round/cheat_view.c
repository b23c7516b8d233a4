#include <stdlib.h>
#include <string.h>

#include "cheat_state.h"
#include "round/quorum.h"

static const uint8_t run_id[MESSAGE_RUN_BYTES] = "the run";
static const uint8_t roster_hash[HASH_BYTES] = "the roster";

void cheat_propose(struct view *view, uint64_t round, uint32_t attempt, const struct site_set *v0)
{
    static uint8_t nonce;
    struct msg_round_open *open = &view->open;
    uint32_t n = (uint32_t)v0->n;

    memset(view, 0, sizeof *view);
    memcpy(open->run, run_id, MESSAGE_RUN_BYTES);
    open->round = round;
    open->attempt = attempt;
    open->n_parameters = CHEAT_PARAMETERS;
    open->lane_bits = 32;
    open->suite = cheat.terms.suite;
    open->deadline_ms = 1000;
    open->threshold = quorum_threshold(n, cheat.terms.collusion);
    open->minimum = cheat.terms.collusion + QUORUM_HONEST_MIN;
    if (open->minimum < open->threshold)
        open->minimum = open->threshold;
    open->nonce[0] = ++nonce;
    open->sites = *v0;
}

static void start(enum message_kind kind)
{
    memset(&cheat_message, 0, sizeof cheat_message);
    cheat_message.kind = kind;
}

static void tell_all(const struct view *view, const struct site_set *to, const uint8_t *transcript)
{
    for (size_t i = 0; i < to->n; i++)
        if (cheat_is_honest(to->id[i]))
            cheat_tell(view, to->id[i], transcript);
}

// What `id` said in this view, or else in another story of the attempt.
static struct spoken *best(const struct view *view, uint32_t id, enum message_kind kind,
                           const uint8_t *transcript)
{
    struct spoken *spoken = cheat_find(view, id, kind, transcript);

    return spoken != NULL ? spoken : cheat_find(view, id, kind, NULL);
}

static void link_sites(struct view *view, unsigned step, const struct site_set *of,
                       enum message_kind kind, const uint8_t *transcript)
{
    static struct said said;

    said.n = 0;
    for (size_t i = 0; i < of->n; i++) {
        const struct spoken *spoken = best(view, of->id[i], kind, transcript);

        if (spoken == NULL)
            continue;
        said.id[said.n] = of->id[i];
        hash_bytes(said.hash[said.n++], spoken->body, spoken->len);
    }
    if (transcript_next(view->r[step], step, view->r[step - 1], &said) != CHOIR_OK)
        abort();
}

static void list(const struct view *view, const struct site_set *of, enum message_kind kind,
                 const uint8_t *transcript, struct envelope_list *to)
{
    to->n = 0;
    for (size_t i = 0; i < of->n; i++) {
        struct spoken *spoken;

        if (!cheat_is_honest(of->id[i]))
            cheat_accomplice_says(view, of->id[i], kind);
        spoken = best(view, of->id[i], kind, transcript);
        if (spoken == NULL)
            continue; // it refused: the list is short, and refused in its turn
        to->item[to->n].at = spoken->signed_bytes;
        to->item[to->n++].len = spoken->signed_len;
    }
}

void cheat_open(struct view *view, const struct site_set *to)
{
    static uint8_t body[8192];
    size_t len;

    start(MESSAGE_ROUND_OPEN);
    cheat_message.round_open = view->open;
    if (message_encode(&cheat_message, body, sizeof body, &len) != CHOIR_OK ||
        transcript_open(view->r[0], roster_hash, body, len) != CHOIR_OK)
        abort();
    tell_all(view, to, roster_hash);
}

void cheat_write_adverts(struct view *view, const struct site_set *v1)
{
    start(MESSAGE_ADVERTS);
    view->v1 = *v1;
    list(view, v1, MESSAGE_ADVERTISE, view->r[0], &cheat_message.adverts.adverts);
    link_sites(view, 1, v1, MESSAGE_ADVERTISE, view->r[0]);
}

void cheat_adverts(struct view *view, const struct site_set *v1, const struct site_set *to)
{
    cheat_write_adverts(view, v1);
    tell_all(view, to, view->r[0]);
}

// What `from` sealed for `to` into the bundle; false if there is nothing.
static bool take_cipher(const struct spoken *spoken, uint32_t to, uint8_t *cipher)
{
    static struct message message;

    if (message_decode(MESSAGE_SHARES, spoken->body, spoken->len, &message) != CHOIR_OK)
        abort();
    for (size_t k = 0; k < message.shares.n; k++) {
        if (message.shares.cipher[k].to != to)
            continue;
        memcpy(cipher, message.shares.cipher[k].bytes, MESSAGE_CIPHER_MAX);
        return true;
    }
    return false;
}

void cheat_write_shares(struct view *view, const struct site_set *v2, uint32_t to)
{
    struct msg_shares_all *all = &cheat_message.shares_all;

    for (size_t i = 0; i < v2->n; i++)
        if (!cheat_is_honest(v2->id[i]))
            cheat_accomplice_says(view, v2->id[i], MESSAGE_SHARES);
    start(MESSAGE_SHARES_ALL);
    view->v2 = *v2;
    all->suite = view->open.suite;
    for (size_t i = 0; i < v2->n; i++) {
        const struct spoken *spoken = best(view, v2->id[i], MESSAGE_SHARES, view->r[1]);

        if (spoken == NULL)
            continue;
        all->bundle[all->n].from = v2->id[i];
        hash_bytes(all->bundle[all->n].bundle_hash, spoken->body, spoken->len);
        all->bundle[all->n].has_cipher = take_cipher(spoken, to, all->bundle[all->n].cipher);
        all->n++;
    }
    link_sites(view, 2, v2, MESSAGE_SHARES, view->r[1]);
}

void cheat_shares(struct view *view, const struct site_set *v2, const struct site_set *to)
{
    for (size_t i = 0; i < to->n; i++) {
        if (!cheat_is_honest(to->id[i]))
            continue;
        cheat_write_shares(view, v2, to->id[i]);
        cheat_tell(view, to->id[i], view->r[1]);
    }
}

void cheat_write_survivors(struct view *view, const struct site_set *u)
{
    start(MESSAGE_SURVIVORS);
    view->u = *u;
    list(view, u, MESSAGE_MASKED, view->r[2], &cheat_message.survivors.headers);
    link_sites(view, 3, u, MESSAGE_MASKED, view->r[2]);
    memcpy(cheat_message.survivors.r3, view->r[3], HASH_BYTES);
}

void cheat_survivors(struct view *view, const struct site_set *u, const struct site_set *to)
{
    cheat_write_survivors(view, u);
    tell_all(view, to, view->r[2]);
}

void cheat_write_consents(struct view *view, const struct site_set *of)
{
    start(MESSAGE_CONSENTS);
    list(view, of, MESSAGE_CONSENT, view->r[3], &cheat_message.consents.consents);
}

void cheat_consents(struct view *view, const struct site_set *of, const struct site_set *to)
{
    cheat_write_consents(view, of);
    tell_all(view, to, view->r[3]);
}

void cheat_close(struct view *view, const struct site_set *to)
{
    start(MESSAGE_ROUND_CLOSE);
    memcpy(cheat_message.round_close.r3, view->r[3], HASH_BYTES);
    cheat_message.round_close.participants = view->u;
    tell_all(view, to, view->r[3]);
}

void cheat_play(struct view *view, const struct site_set *u)
{
    const struct site_set all = view->open.sites;

    cheat_open(view, &all);
    cheat_adverts(view, &all, &all);
    cheat_shares(view, &all, &all);
    cheat_survivors(view, u, u);
    cheat_consents(view, u, u);
}
