#include "aggregator/collection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_EVERY_MS = 2000 };

/* What is known of one site's vector. */
struct awaited {
    bool any, told;
    struct collection_round round;
    uint8_t root[HASH_BYTES];
};

/* What one relay was asked. */
struct asked {
    const struct roster_relay *relay;
    uint8_t question[HASH_BYTES];
    bool answered, here;
    uint8_t root[HASH_BYTES];    // of its sum, once it has answered
    uint64_t asked_ms;           // 0: not yet
    struct relay_letter refusal; // code is RELAY_SUMMED while there is none
};

struct collection {
    const struct roster *roster;
    struct awaited awaited[ROSTER_SITES_MAX + 1]; // by site
    bool active;
    struct collection_round round;
    struct site_set sites;
    uint8_t roots[MESSAGE_SITES_MAX][HASH_BYTES];
    uint16_t lane_bits;
    uint64_t bytes;
    uint64_t until_ms, waited_ms;
    size_t n;
    struct asked asked[ROSTER_RELAYS_MAX];
};

enum choir_err collection_new(const struct roster *roster, struct collection **out)
{
    struct collection *collection = calloc(1, sizeof *collection);

    if (collection == NULL)
        return CHOIR_ERR_MEMORY;
    collection->roster = roster;
    *out = collection;
    return CHOIR_OK;
}

void collection_free(struct collection *collection)
{
    free(collection);
}

const struct roster_relay *collection_relay(const struct collection *collection, uint32_t site)
{
    const struct roster_site *member = roster_by_id(collection->roster, site);

    return member == NULL ? NULL : roster_relay_by_id(collection->roster, member->relay);
}

bool collection_may_speak(const struct collection *collection, uint32_t peer, uint32_t sender)
{
    const struct roster_site *site = roster_by_id(collection->roster, sender);

    if (site == NULL)
        return false;
    return site->relay == ROSTER_RELAY_NONE ? site->id == peer : site->relay == peer;
}

static bool same_round(const struct collection_round *a, const struct collection_round *b)
{
    return memcmp(a->run, b->run, sizeof a->run) == 0 && a->round == b->round &&
           a->attempt == b->attempt;
}

static struct collection_round round_of(const struct relay_letter *letter)
{
    struct collection_round round = {.round = letter->round, .attempt = letter->attempt};

    memcpy(round.run, letter->run, sizeof round.run);
    return round;
}

bool collection_expect(struct collection *collection, const struct collection_round *round,
                       uint32_t site, const uint8_t root[static HASH_BYTES])
{
    struct awaited *awaited = &collection->awaited[site];

    if (awaited->any && same_round(&awaited->round, round) &&
        memcmp(awaited->root, root, HASH_BYTES) == 0)
        return awaited->told;
    *awaited = (struct awaited){.any = true, .round = *round};
    memcpy(awaited->root, root, HASH_BYTES);
    return false;
}

void collection_forget(struct collection *collection, uint32_t site)
{
    if (site <= ROSTER_SITES_MAX)
        collection->awaited[site].any = false;
}

enum collection_news collection_have(struct collection *collection, const struct relay_letter *have,
                                     size_t index)
{
    const struct relay_vector *vector = &have->vector[index];
    const struct roster_relay *relay = collection_relay(collection, vector->site);
    struct collection_round round = round_of(have);
    struct awaited *awaited;

    if (relay == NULL || relay->id != have->relay)
        return COLLECTION_NOTHING;
    awaited = &collection->awaited[vector->site];
    if (!awaited->any || awaited->told || !same_round(&awaited->round, &round) ||
        memcmp(awaited->root, vector->root, HASH_BYTES) != 0)
        return COLLECTION_NOTHING;
    awaited->told = vector->whole;
    return vector->whole ? COLLECTION_WHOLE : COLLECTION_CAME;
}

// The question for one relay; n is 0 if none of U is behind it.
static void make_question(const struct collection *collection, const struct roster_relay *relay,
                          struct relay_letter *question)
{
    memset(question, 0, sizeof *question);
    question->kind = RELAY_SUM;
    question->relay = relay->id;
    question->roster_epoch = collection->roster->epoch;
    memcpy(question->run, collection->round.run, sizeof question->run);
    question->round = collection->round.round;
    question->attempt = collection->round.attempt;
    question->lane_bits = collection->lane_bits;
    question->bytes = collection->bytes;
    for (size_t i = 0; i < collection->sites.n; i++) {
        const struct roster_site *site = roster_by_id(collection->roster, collection->sites.id[i]);
        struct relay_vector *vector = &question->vector[question->n];

        if (site == NULL || site->relay != relay->id)
            continue;
        vector->site = site->id;
        vector->whole = true;
        memcpy(vector->root, collection->roots[i], HASH_BYTES);
        question->n++;
    }
}

size_t collection_begin(struct collection *collection, const struct collection_wish *wish,
                        uint64_t now_ms, uint64_t wait_ms)
{
    struct relay_letter question;

    collection_end(collection);
    collection->active = true;
    collection->round = wish->round;
    collection->sites = *wish->sites;
    memcpy(collection->roots, wish->roots, wish->sites->n * sizeof collection->roots[0]);
    collection->lane_bits = wish->lane_bits;
    collection->bytes = wish->bytes;
    collection->waited_ms = wait_ms;
    collection->until_ms = now_ms + wait_ms;
    for (size_t i = 0; i < collection->roster->n_relays; i++) {
        struct asked *asked = &collection->asked[collection->n];

        make_question(collection, &collection->roster->relays[i], &question);
        if (question.n == 0)
            continue;
        memset(asked, 0, sizeof *asked);
        asked->relay = &collection->roster->relays[i];
        relay_question(&question, asked->question);
        collection->n++;
    }
    return collection->n;
}

void collection_end(struct collection *collection)
{
    collection->active = false;
    collection->n = 0;
}

bool collection_ask(struct collection *collection, uint64_t now_ms, struct relay_letter *question)
{
    for (size_t i = 0; collection->active && i < collection->n; i++) {
        struct asked *asked = &collection->asked[i];

        if (asked->answered || (asked->asked_ms != 0 && now_ms - asked->asked_ms < ASK_EVERY_MS))
            continue;
        asked->asked_ms = now_ms;
        make_question(collection, asked->relay, question);
        return true;
    }
    return false;
}

static struct asked *asked_of(struct collection *collection, uint32_t relay)
{
    for (size_t i = 0; collection->active && i < collection->n; i++)
        if (collection->asked[i].relay->id == relay)
            return &collection->asked[i];
    return NULL;
}

enum choir_err collection_answer(struct collection *collection, const struct relay_letter *answer)
{
    struct asked *asked = asked_of(collection, answer->relay);

    if (asked == NULL || memcmp(asked->question, answer->question, HASH_BYTES) != 0)
        return CHOIR_ERR_REFUSED;
    if (answer->code != RELAY_SUMMED) {
        asked->refusal = *answer;
        return CHOIR_ERR_MISSING;
    }
    if (answer->bytes != collection->bytes ||
        (asked->answered && memcmp(asked->root, answer->root, HASH_BYTES) != 0))
        return CHOIR_ERR_REFUSED;
    asked->answered = true;
    memcpy(asked->root, answer->root, HASH_BYTES);
    return CHOIR_OK;
}

void collection_came(struct collection *collection, uint32_t relay,
                     const uint8_t root[static HASH_BYTES])
{
    struct asked *asked = asked_of(collection, relay);

    if (asked != NULL && asked->answered && memcmp(asked->root, root, HASH_BYTES) == 0)
        asked->here = true;
}

enum collection_state collection_state(const struct collection *collection, uint64_t now_ms)
{
    bool all = true;

    if (!collection->active)
        return COLLECTION_IDLE;
    for (size_t i = 0; i < collection->n; i++) {
        if (collection->asked[i].refusal.code != RELAY_SUMMED)
            return COLLECTION_FAILED;
        all = all && collection->asked[i].here;
    }
    if (all)
        return COLLECTION_READY;
    return now_ms < collection->until_ms ? COLLECTION_WAITING : COLLECTION_FAILED;
}

static void explain(const struct collection *collection, const struct asked *asked, char *text,
                    size_t max)
{
    const struct roster_site *site = roster_by_id(collection->roster, asked->refusal.site);

    if (asked->refusal.code == RELAY_LACKS)
        snprintf(text, max, "relay %s no longer has the vector of site %s", asked->relay->name,
                 site == NULL ? "?" : site->name);
    else if (asked->refusal.code != RELAY_SUMMED)
        snprintf(text, max, "relay %s cannot add its vectors up: its disk failed",
                 asked->relay->name);
    else
        snprintf(text, max, "relay %s has not delivered the sum of its sites within %llu s",
                 asked->relay->name, (unsigned long long)(collection->waited_ms / 1000));
}

void collection_fault(const struct collection *collection, uint64_t now_ms, char *text, size_t max)
{
    text[0] = '\0';
    if (collection_state(collection, now_ms) != COLLECTION_FAILED)
        return;
    for (size_t i = 0; i < collection->n; i++) {
        const struct asked *asked = &collection->asked[i];

        if (!asked->here)
            explain(collection, asked, text, max);
        if (asked->refusal.code != RELAY_SUMMED)
            return;
    }
}

void collection_sum(const struct collection *collection, size_t index, uint32_t *relay,
                    const uint8_t **root)
{
    assert(index < collection->n);
    *relay = collection->asked[index].relay->id;
    *root = collection->asked[index].root;
}
