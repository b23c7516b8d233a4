#include "party.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/mask.h"
#include "crypto/merkle.h"
#include "fake.h"

enum { ENVELOPE_ROOM = FAKE_HEAD + PARTY_BODY_MAX, ROUND = 3, TOLD_MAX = 8 };

static const uint8_t run[MESSAGE_RUN_BYTES] = "the run";
static const uint8_t nothing[HASH_BYTES];

// Tests stop where a step of theirs cannot be made.
static void must(bool good)
{
    if (!good)
        abort();
}

size_t party_bytes(const struct party *party)
{
    return (size_t)(party->n_parameters + 1) * party->lane_bits / 8; // values and the constant
}

// Site i's update: lanes that count up from (i + 1) 1000, then the constant 1.
static void fill_update(const struct party *party, size_t i, uint8_t *to)
{
    size_t width = party->lane_bits / 8;

    for (size_t k = 0; k <= party->n_parameters; k++) {
        uint32_t value = k == party->n_parameters ? 1 : (uint32_t)((i + 1) * 1000 + k * 7);

        for (size_t at = 0; at < width; at++)
            to[k * width + at] = (uint8_t)(value >> (8 * at));
    }
}

// What the secrets of site i are made of: as for nobody's eyes but a script's.
static void fill_fresh(const struct party *party, size_t i, uint8_t *to)
{
    for (size_t k = 0; k < MESSAGE_NONCE_BYTES; k++)
        to[k] = (uint8_t)(16 * i + (size_t)64 * party->attempt + k);
}

static void root_of(const struct party *party, const uint8_t *vector, struct site_update *update)
{
    update->bytes = party_bytes(party);
    merkle_leaf(update->root, vector, update->bytes); // the root over one chunk
}

// Where the words of this kind are kept; NULL for kinds that are not.
static struct party_words *words_of(struct party_site *site, enum message_kind kind)
{
    const struct {
        enum message_kind kind;
        struct party_words *words;
    } places[] = {
        {MESSAGE_ADVERTISE, &site->advert}, {MESSAGE_SHARES, &site->shares},
        {MESSAGE_MASKED, &site->header},    {MESSAGE_CONSENT, &site->consent},
        {MESSAGE_UNMASK, &site->unmask},    {MESSAGE_REFUSE, &site->refuse},
    };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (places[i].kind == kind)
            return places[i].words;
    return NULL;
}

static void keep(struct party_site *site, const struct site_effect *effect)
{
    struct party_words *words = words_of(site, effect->send.kind);

    if (words == NULL)
        return;
    must(effect->send.body_len <= PARTY_BODY_MAX);
    memcpy(words->body, effect->send.body, effect->send.body_len);
    words->len = effect->send.body_len;
}

static void put_masks_on(struct party *party, size_t i, const struct site_effect *effect)
{
    struct mask *worker = NULL;

    memcpy(party->site[i].vector, party->site[i].plain, party_bytes(party));
    must(mask_open(effect->mask.suite, &worker) == CHOIR_OK);
    maskset_apply(effect->mask.masks, worker, 0, effect->mask.lane_bits, 0, party->site[i].vector,
                  party_bytes(party));
    mask_close(worker);
}

// What the world answers to an effect; false if it answers nothing.
static bool answer(struct party *party, size_t i, const struct site_effect *effect,
                   struct site_event *event)
{
    struct party_site *site = &party->site[i];

    *event = (struct site_event){.round = ROUND, .attempt = party->attempt};
    if (effect->kind == SITE_DO_STORE_MARK) {
        site->revealed |= effect->mark.revealed;
        event->kind = SITE_MARK_STORED;
    } else if (effect->kind == SITE_DO_FETCH_MODEL) {
        event->kind = SITE_MODEL_READY;
    } else if (effect->kind == SITE_DO_TRAIN) {
        event->kind = SITE_UPDATE_READY;
        root_of(party, site->plain, &event->update);
    } else if (effect->kind == SITE_DO_MASK && party->masks_fail) {
        event->kind = SITE_MASK_FAILED;
    } else if (effect->kind == SITE_DO_MASK) {
        put_masks_on(party, i, effect);
        event->kind = SITE_MASKED;
        root_of(party, site->vector, &event->update);
    } else if (effect->kind == SITE_DO_STORE_CONSENT) {
        site->consented = true;
        event->kind = SITE_CONSENT_STORED;
        memcpy(event->hash, effect->consent.r2, HASH_BYTES);
    } else {
        return false;
    }
    return true;
}

void party_happens(struct party *party, size_t i, struct site_event event)
{
    struct site_event told[TOLD_MAX] = {event};
    struct party_site *site = &party->site[i];
    struct site_effects effects;

    for (size_t k = 0, n = 1; k < n; k++) {
        told[k].now_ms = 1000;
        fill_fresh(party, i, told[k].fresh);
        must(site_step(site->machine, &told[k], &effects) == CHOIR_OK);
        for (size_t e = 0; e < effects.n; e++) {
            const struct site_effect *effect = &effects.item[e];

            if (effect->kind == SITE_DO_SEND)
                keep(site, effect);
            if (effect->kind == SITE_DO_REPORT)
                site->reported = effect->report.code;
            if (effect->kind == SITE_DO_STOP_UPLOAD)
                site->left = true;
            must(n < TOLD_MAX);
            if (answer(party, i, effect, &told[n]))
                n++;
        }
    }
}

void party_tells(struct party *party, size_t i, const uint8_t *transcript)
{
    static uint8_t body[PARTY_MAX * ENVELOPE_ROOM];
    struct incoming incoming = {.kind = (uint16_t)party->message.kind,
                                .round = ROUND,
                                .attempt = party->attempt,
                                .body = body};

    memcpy(incoming.run, run, sizeof incoming.run);
    memcpy(incoming.transcript, transcript, HASH_BYTES);
    must(message_encode(&party->message, body, sizeof body, &incoming.body_len) == CHOIR_OK);
    // cppcheck-suppress danglingLifetime ; borrowed for the call
    party_happens(party, i, (struct site_event){.kind = SITE_MESSAGE, .message = &incoming});
}

static void accept_plan(struct party *party, size_t i)
{
    struct site_plan plan = {.accepted = true,
                             .rounds = 9,
                             .n_parameters = party->n_parameters,
                             .lane_bits = party->lane_bits,
                             .suite = party->suite,
                             .min_sites = 2};

    memcpy(plan.run, run, sizeof plan.run);
    memset(&party->message, 0, sizeof party->message);
    party->message.kind = MESSAGE_PLAN_OFFER;
    party->message.plan_offer.plan = (const uint8_t *)"{}";
    party->message.plan_offer.plan_len = 2;
    party_tells(party, i, nothing);
    // cppcheck-suppress danglingLifetime ; borrowed for the call
    party_happens(party, i, (struct site_event){.kind = SITE_PLAN_CHECKED, .plan = &plan});
}

void party_begin(struct party *party, const uint32_t *ids, size_t n)
{
    static struct site_settings settings;

    settings = (struct site_settings){.collusion = party->collusion,
                                      .suites = 15,
                                      .minimum_cohort = 2,
                                      .resend_ms = 500,
                                      .heartbeat_ms = 1000,
                                      .open = fake_open};
    must(n <= PARTY_MAX && party_bytes(party) <= PARTY_VECTOR_MAX);
    party->n = n;
    party->attempt = 1;
    settings.graph.collusion = party->collusion;
    settings.roster.n = n;
    memcpy(settings.roster.id, ids, n * sizeof ids[0]);
    for (size_t i = 0; i < n; i++) {
        memset(&party->site[i], 0, sizeof party->site[i]);
        party->site[i].id = settings.id = ids[i];
        must(site_new(&settings, &party->site[i].machine) == CHOIR_OK);
        fill_update(party, i, party->site[i].plain);
        party_happens(party, i, (struct site_event){.kind = SITE_LINK_UP});
        accept_plan(party, i);
    }
}

void party_end(struct party *party)
{
    for (size_t i = 0; i < party->n; i++)
        site_free(party->site[i].machine);
    party->n = 0;
}

void party_make_open(struct party *party)
{
    struct msg_round_open *open = &party->message.round_open;
    uint8_t body[PARTY_BODY_MAX];
    size_t len;

    memset(&party->message, 0, sizeof party->message);
    party->message.kind = MESSAGE_ROUND_OPEN;
    memcpy(open->run, run, sizeof open->run);
    open->round = ROUND;
    open->attempt = party->attempt;
    open->n_parameters = party->n_parameters;
    open->lane_bits = party->lane_bits;
    open->suite = party->suite;
    open->deadline_ms = 1000;
    open->threshold = party->threshold;
    open->minimum = party->minimum;
    open->sites.n = party->n;
    for (size_t i = 0; i < party->n; i++)
        open->sites.id[i] = party->site[i].id;
    must(message_encode(&party->message, body, sizeof body, &len) == CHOIR_OK);
    must(transcript_open(party->r[0], nothing, body, len) == CHOIR_OK);
}

// The next transcript hash, over what `sites` said.
static void link(struct party *party, unsigned step, enum message_kind kind, unsigned sites)
{
    static struct said said;

    said.n = 0;
    for (size_t i = 0; i < party->n; i++) {
        const struct party_words *words = words_of(&party->site[i], kind);

        if ((sites >> i & 1) == 0)
            continue;
        said.id[said.n] = party->site[i].id;
        hash_bytes(said.hash[said.n++], words->body, words->len);
    }
    must(transcript_next(party->r[step], step, party->r[step - 1], &said) == CHOIR_OK);
}

// Envelopes with what `sites` said, which answers `transcript`.
static void list(struct party *party, enum message_kind kind, const uint8_t *transcript,
                 unsigned sites, struct envelope_list *to)
{
    static uint8_t room[PARTY_MAX][ENVELOPE_ROOM];

    to->n = 0;
    for (size_t i = 0; i < party->n; i++) {
        const struct party_words *words = words_of(&party->site[i], kind);
        struct incoming incoming = {.kind = (uint16_t)kind,
                                    .round = ROUND,
                                    .attempt = party->attempt,
                                    .sender = party->site[i].id,
                                    .body = words->body,
                                    .body_len = words->len};

        if ((sites >> i & 1) == 0)
            continue;
        memcpy(incoming.run, run, sizeof incoming.run);
        memcpy(incoming.transcript, transcript, HASH_BYTES);
        to->item[to->n].at = room[i];
        to->item[to->n++].len = fake_seal(&incoming, i, room[i], sizeof room[i]);
    }
}

void party_make_adverts(struct party *party, unsigned sites)
{
    memset(&party->message, 0, sizeof party->message);
    party->message.kind = MESSAGE_ADVERTS;
    list(party, MESSAGE_ADVERTISE, party->r[0], sites, &party->message.adverts.adverts);
    link(party, 1, MESSAGE_ADVERTISE, sites);
}

// The box in what site `from` said that is for `receiver`.
static bool find_box(const struct party *party, size_t from, uint32_t receiver, uint8_t *to)
{
    static struct message message;
    const struct party_words *words = &party->site[from].shares;

    if (message_decode(MESSAGE_SHARES, words->body, words->len, &message) != CHOIR_OK)
        return false; // it was changed
    for (size_t k = 0; k < message.shares.n; k++)
        if (message.shares.cipher[k].to == receiver) {
            memcpy(to, message.shares.cipher[k].bytes, MESSAGE_CIPHER_MAX);
            return true;
        }
    return false;
}

void party_make_shares_all(struct party *party, size_t receiver, unsigned sites)
{
    struct msg_shares_all *all = &party->message.shares_all;

    memset(&party->message, 0, sizeof party->message);
    party->message.kind = MESSAGE_SHARES_ALL;
    all->suite = party->suite;
    for (size_t i = 0; i < party->n; i++) {
        const struct party_words *words = &party->site[i].shares;

        if ((sites >> i & 1) == 0)
            continue;
        all->bundle[all->n].from = party->site[i].id;
        hash_bytes(all->bundle[all->n].bundle_hash, words->body, words->len);
        all->bundle[all->n].has_cipher =
            find_box(party, i, party->site[receiver].id, all->bundle[all->n].cipher);
        all->n++;
    }
    link(party, 2, MESSAGE_SHARES, sites);
}

void party_make_survivors(struct party *party, unsigned sites)
{
    memset(&party->message, 0, sizeof party->message);
    party->message.kind = MESSAGE_SURVIVORS;
    list(party, MESSAGE_MASKED, party->r[2], sites, &party->message.survivors.headers);
    link(party, 3, MESSAGE_MASKED, sites);
    memcpy(party->message.survivors.r3, party->r[3], HASH_BYTES);
}

void party_make_consents(struct party *party, unsigned sites)
{
    memset(&party->message, 0, sizeof party->message);
    party->message.kind = MESSAGE_CONSENTS;
    list(party, MESSAGE_CONSENT, party->r[3], sites, &party->message.consents.consents);
}

static void tell_all(struct party *party, unsigned receivers, const uint8_t *transcript)
{
    for (size_t i = 0; i < party->n; i++)
        if ((receivers >> i & 1) != 0)
            party_tells(party, i, transcript);
}

void party_open(struct party *party)
{
    party_make_open(party);
    tell_all(party, PARTY_ALL, nothing);
}

void party_adverts(struct party *party, unsigned sites, unsigned receivers)
{
    party_make_adverts(party, sites);
    tell_all(party, receivers, party->r[0]);
}

void party_shares_all(struct party *party, unsigned sites, unsigned receivers)
{
    for (size_t i = 0; i < party->n; i++)
        if ((receivers >> i & 1) != 0) {
            party_make_shares_all(party, i, sites);
            party_tells(party, i, party->r[1]);
        }
}

void party_survivors(struct party *party, unsigned sites, unsigned receivers)
{
    party_make_survivors(party, sites);
    tell_all(party, receivers, party->r[2]);
}

void party_consents(struct party *party, unsigned sites, unsigned receivers)
{
    party_make_consents(party, sites);
    tell_all(party, receivers, party->r[3]);
}
