#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/maskset.h"
#include "round/gather_state.h"
#include "round/proof.h"

void gather_forget_masks(struct gather *gather)
{
    unmasking_free(gather->unmasking);
    maskset_free(gather->unmask);
    free(gather->proof.at);
    gather->unmasking = NULL;
    gather->unmask = NULL;
    gather->proof = (struct blob){.at = NULL};
    memset(gather->revealed_hash, 0, HASH_BYTES);
}

static enum choir_err draw_graph(const struct gather *gather, const struct site_set *sites,
                                 struct graph *graph)
{
    return graph_make(&gather->settings.graph, gather->run.run, gather->round, sites, graph);
}

const char *gather_masks_hindrance(const struct gather *gather, const struct site_set *sites)
{
    struct graph graph;

    if (draw_graph(gather, sites, &graph) == CHOIR_OK)
        return NULL;
    return "cannot begin: masks among so many sites need a roster with the nonces of all of them";
}

struct unmasking *gather_masks(struct gather *gather)
{
    struct unmasking_terms *terms;

    if (gather->unmasking != NULL || gather->err != CHOIR_OK)
        return gather->unmasking;
    terms = calloc(1, sizeof *terms);
    if (terms == NULL) {
        gather->err = CHOIR_ERR_MEMORY;
        return NULL;
    }
    terms->suite = gather->run.suite;
    terms->threshold = gather->threshold;
    terms->collusion = gather->settings.collusion;
    terms->v0 = gather->members[SAID_ADVERT];
    memcpy(terms->r0, gather->r[0], HASH_BYTES);
    gather->err = draw_graph(gather, &terms->v0, &terms->graph);
    if (gather->err == CHOIR_OK)
        gather->err = unmasking_new(terms, &gather->unmasking);
    free(terms);
    return gather->unmasking;
}

bool gather_masks_fit(struct gather *gather, const struct peer *peer, enum gather_said step)
{
    if (gather->run.suite == 0)
        return true;
    if (gather_masks(gather) == NULL)
        return false;
    return step == SAID_SHARES
               ? unmasking_bundle_fits(gather->unmasking, peer->id, &gather->message.shares)
               : unmasking_answer_fits(gather->unmasking, peer->id, &gather->message.unmask);
}

// False if its keys cannot be used beside those of the others.
static bool hear_advert(struct gather *gather, struct peer *peer)
{
    uint32_t other = 0;
    enum choir_err err =
        unmasking_advert(gather->unmasking, peer->id, &gather->message.advertise, &other);

    if (err == CHOIR_ERR_REFUSED) {
        if (other != 0)
            gather_report(gather, MESSAGE_CODE_EQUIVOCATION, peer->id,
                          "site %u advertises a key that site %u has advertised before",
                          (unsigned)peer->id, (unsigned)other);
        gather_drop(gather, peer, "its keys cannot be used");
        return false;
    }
    if (err != CHOIR_OK)
        gather->err = err;
    return err == CHOIR_OK;
}

static void hear_bundle(struct gather *gather, struct peer *peer, const struct incoming *message)
{
    uint8_t *copy = malloc(message->signed_len + 1);
    enum choir_err err =
        copy != NULL ? unmasking_bundle(gather->unmasking, peer->id, &gather->message.shares)
                     : CHOIR_ERR_MEMORY;

    if (err != CHOIR_OK) {
        free(copy);
        gather->err = err;
        return;
    }
    memcpy(copy, message->signed_bytes, message->signed_len);
    free(peer->bundle.at);
    peer->bundle = (struct blob){.at = copy, .len = message->signed_len};
}

bool gather_masks_hear(struct gather *gather, struct peer *peer, const struct incoming *message,
                       enum gather_said step)
{
    if (gather->run.suite == 0 || step == SAID_MASKED || step == SAID_CONSENT)
        return true;
    if (gather_masks(gather) == NULL)
        return false;
    if (step == SAID_ADVERT)
        return hear_advert(gather, peer);
    if (step == SAID_SHARES)
        hear_bundle(gather, peer, message);
    else
        unmasking_answer(gather->unmasking, peer->id, &gather->message.unmask);
    return gather->err == CHOIR_OK;
}

void gather_masks_prune(struct gather *gather, struct site_set *in)
{
    uint32_t who;

    while (gather_masks(gather) != NULL && !unmasking_reaches(gather->unmasking, in, in, &who)) {
        size_t kept = 0;

        for (size_t i = 0; i < in->n; i++)
            if (in->id[i] != who)
                in->id[kept++] = in->id[i];
        in->n = kept;
    }
}

bool gather_masks_reach(struct gather *gather, const struct site_set *u)
{
    uint32_t who;

    return gather_masks(gather) == NULL ||
           unmasking_reaches(gather->unmasking, &gather->members[SAID_MASKED], u, &who);
}

// Notes that `by` names `dealer`; both once in a run, as far as there is room.
static void note_accusation(struct gather *gather, uint32_t by, uint32_t dealer)
{
    for (size_t i = 0; i < gather->n_accusations; i++)
        if (gather->accusation[i].by == by && gather->accusation[i].dealer == dealer)
            return;
    if (gather->n_accusations < GATHER_ACCUSATIONS_MAX)
        gather->accusation[gather->n_accusations++] =
            (struct accusation){.by = by, .dealer = dealer};
}

// Of so many that name one dealer one is honest; of so many dealers that one names as well. With
// c = 0 one word still stands against another.
static bool many(const struct gather *gather, size_t n)
{
    return n > gather->settings.collusion && n > 1;
}

void gather_on_bad_share(struct gather *gather, struct peer *peer, const struct incoming *message)
{
    struct peer *dealer = gather_peer(gather, gather->message.refuse.about);
    size_t against = 0, by = 0;

    if (gather->phase != GATHER_MASKED || peer->heard[SAID_MASKED].here || dealer == NULL ||
        dealer == peer || gather_masks(gather) == NULL ||
        unmasking_cipher(gather->unmasking, dealer->id, peer->id) == NULL)
        return;
    note_accusation(gather, peer->id, dealer->id);
    for (size_t i = 0; i < gather->n_accusations; i++) {
        against += gather->accusation[i].dealer == dealer->id ? 1 : 0;
        by += gather->accusation[i].by == peer->id ? 1 : 0;
    }
    if (many(gather, by)) {
        gather_suspend(gather, peer, MESSAGE_CODE_SHARE, &dealer->bundle, message);
    } else if (many(gather, against)) {
        gather_suspend(gather, dealer, MESSAGE_CODE_SHARE, &dealer->bundle, message);
        gather_abandon(gather, MESSAGE_CODE_SHARE, "a site has sealed shares that do not open");
    }
}

void gather_shares_for(struct gather *gather, uint32_t to)
{
    struct msg_shares_all *all = &gather->answer.shares_all;

    gather_said_list(gather, SAID_SHARES, &gather->members[SAID_MASKED]);
    gather->answer.kind = MESSAGE_SHARES_ALL;
    all->suite = gather->run.suite;
    all->n = gather->list.n;
    for (size_t i = 0; i < all->n; i++) {
        const uint8_t *cipher = gather->unmasking == NULL
                                    ? NULL
                                    : unmasking_cipher(gather->unmasking, gather->list.id[i], to);

        all->bundle[i].from = gather->list.id[i];
        memcpy(all->bundle[i].bundle_hash, gather->list.hash[i], HASH_BYTES);
        all->bundle[i].has_cipher = cipher != NULL;
        if (cipher != NULL)
            memcpy(all->bundle[i].cipher, cipher, MESSAGE_CIPHER_MAX);
    }
}

void gather_masks_settle(struct gather *gather)
{
    enum choir_err err;

    if (gather_masks(gather) == NULL)
        return;
    err = unmasking_set_survivors(gather->unmasking, &gather->members[SAID_MASKED],
                                  &gather->members[SAID_CONSENT], gather->r[2]);
    if (err != CHOIR_OK)
        gather->err = err;
    for (size_t i = 0; i < gather->n_peers; i++) {
        free(gather->peer[i].bundle.at);
        gather->peer[i].bundle = (struct blob){.at = NULL};
    }
}

// Takes advert `i` of a journaled list.
static enum choir_err replay_advert(struct gather *gather, const struct envelope_list *adverts,
                                    size_t i, struct site_set *v1)
{
    struct incoming item;
    uint32_t other;
    enum choir_err err = gather->settings.open(gather->settings.open_context, adverts->item[i].at,
                                               adverts->item[i].len, &item);

    if (err != CHOIR_OK)
        return err;
    if (item.kind != MESSAGE_ADVERTISE || !site_set_has(&gather->members[0], item.sender) ||
        !site_set_add(v1, item.sender) || v1->id[i] != item.sender)
        return CHOIR_ERR_FORMAT;
    gather->list.id[i] = item.sender;
    hash_bytes(gather->list.hash[i], item.body, item.body_len);
    gather->list.n = i + 1;
    err = message_decode(MESSAGE_ADVERTISE, item.body, item.body_len, &gather->answer);
    if (err != CHOIR_OK)
        return err;
    return unmasking_advert(gather->unmasking, item.sender, &gather->answer.advertise, &other);
}

void gather_masks_resume(struct gather *gather)
{
    const struct envelope_list *adverts = &gather->message.adverts.adverts;
    struct site_set *v1 = &gather->members[SAID_SHARES];
    uint8_t r2[HASH_BYTES];
    enum choir_err err =
        message_decode(MESSAGE_ADVERTS, gather->said[1].at, gather->said[1].len, &gather->message);

    if (err == CHOIR_OK && gather_masks(gather) == NULL)
        return;
    v1->n = 0;
    gather->list.n = 0;
    for (size_t i = 0; err == CHOIR_OK && i < adverts->n; i++)
        err = replay_advert(gather, adverts, i, v1);
    if (err == CHOIR_OK)
        err = transcript_next(gather->r[1], 1, gather->r[0], &gather->list);
    gather_said_list(gather, SAID_SHARES, &gather->members[SAID_MASKED]);
    if (err == CHOIR_OK)
        err = transcript_next(r2, 2, gather->r[1], &gather->list);
    if (err == CHOIR_OK && (memcmp(r2, gather->r[2], HASH_BYTES) != 0 ||
                            !site_set_within(&gather->members[SAID_MASKED], v1)))
        err = CHOIR_ERR_FORMAT;
    if (err != CHOIR_OK) {
        gather->err = err == CHOIR_ERR_REFUSED ? CHOIR_ERR_FORMAT : err;
        return;
    }
    unmasking_set_v1(gather->unmasking, v1, gather->r[1]);
    gather_masks_settle(gather);
}

static void report_fault(struct gather *gather, const struct unmasking_fault *fault)
{
    unsigned dealer = fault->dealer, holder = fault->holder;

    if (fault->blame == UNMASKING_HOLDER)
        gather_report(gather, MESSAGE_CODE_SHARE, holder,
                      "the share that site %u holds of site %u does not fit the others: one of "
                      "the two is wrong",
                      holder, dealer);
    else if (fault->blame == UNMASKING_DEALER)
        gather_report(gather, MESSAGE_CODE_SHARE, dealer,
                      "site %u has shared out another secret than it had committed itself to",
                      dealer);
    else
        gather_report(gather, MESSAGE_CODE_SHARE, dealer,
                      "the secret of site %u cannot be restored: a share of it is wrong, or all of "
                      "them are",
                      dealer);
}

static void on_faults(struct gather *gather, const struct unmasking_faults *faults)
{
    static const uint8_t nothing[1] = {0};
    const struct incoming no_second = {.signed_bytes = nothing};

    for (size_t i = 0; i < faults->n; i++) {
        const struct unmasking_fault *fault = &faults->item[i];
        struct peer *dealer = gather_peer(gather, fault->dealer);

        report_fault(gather, fault);
        if (fault->blame == UNMASKING_DEALER && gather->n_records < GATHER_RECORDS_MAX - 2)
            gather_suspend(gather, dealer, MESSAGE_CODE_SHARE, NULL, &no_second);
    }
    if (faults->n_more > 0)
        gather_report(gather, MESSAGE_CODE_SHARE, 0, "%zu more shares do not fit", faults->n_more);
}

static void take_parts(struct gather *gather, struct proof *proof)
{
    memcpy(proof->run, gather->run.run, MESSAGE_RUN_BYTES);
    proof->round = gather->round;
    proof->attempt = gather->attempt;
    proof->open = (struct proof_part){gather->said[0].at, gather->said[0].len};
    proof->adverts = (struct proof_part){gather->said[1].at, gather->said[1].len};
    proof->survivors = (struct proof_part){gather->said[3].at, gather->said[3].len};
    proof->consents = (struct proof_part){gather->said[4].at, gather->said[4].len};
    gather_said_list(gather, SAID_SHARES, &gather->members[SAID_MASKED]);
    proof->bundles = gather->list;
}

// Everything is restored: what takes the masks out of the sum, and the proof of it.
static void harvest(struct gather *gather)
{
    struct proof *proof = calloc(1, sizeof *proof);
    struct gather_effect *effect;
    enum choir_err err = proof != NULL ? CHOIR_OK : CHOIR_ERR_MEMORY;

    if (err == CHOIR_OK) {
        take_parts(gather, proof);
        err = unmasking_harvest(gather->unmasking, proof->revealed, &proof->n_revealed,
                                &gather->unmask);
    }
    if (err == CHOIR_OK)
        err =
            revealed_hash(gather->revealed_hash, gather->r[3], proof->revealed, proof->n_revealed);
    if (err == CHOIR_OK)
        err = proof_encode(proof, &gather->proof.at, &gather->proof.len);
    free(proof);
    if (err != CHOIR_OK) {
        gather->err = err;
        return;
    }
    effect = gather_effect_add(gather, GATHER_DO_PROVE);
    effect->prove.round = gather->round;
    effect->prove.attempt = gather->attempt;
    effect->prove.bytes = gather->proof.at;
    effect->prove.len = gather->proof.len;
}

bool gather_unmask(struct gather *gather)
{
    struct unmasking_faults faults;
    size_t failed;
    enum choir_err err;

    if (gather_masks(gather) == NULL || unmasking_short(gather->unmasking) > 0)
        return false;
    err = unmasking_restore(gather->unmasking, &failed, &faults);
    if (err != CHOIR_OK) {
        gather->err = err;
        return false;
    }
    on_faults(gather, &faults);
    if (failed > 0)
        return false;
    harvest(gather);
    return gather->err == CHOIR_OK;
}
