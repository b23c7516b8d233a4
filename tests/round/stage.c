#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/maskset.h"
#include "fake.h"
#include "round/journal.h"
#include "round/transcript.h"

struct gather *gather;
struct gather_effects effects;
struct gather_status status;
struct gather_run run;
struct message message; // the next message of a site
uint64_t now_ms;
uint8_t *records[STAGE_RECORDS];
size_t record_len[STAGE_RECORDS], n_records;
static struct masking *site[STAGE_SITES + 1];
static struct said said[2]; // adverts, bundles
struct stage_terms terms;
struct msg_advertise advert[STAGE_SITES + 1];
struct msg_shares bundle[STAGE_SITES + 1];
struct msg_unmask answer[STAGE_SITES + 1];
const uint8_t zeros[HASH_BYTES];
uint8_t session = 1; // of the next JOIN
uint8_t r0[HASH_BYTES], r1[HASH_BYTES], r2[HASH_BYTES], r3[HASH_BYTES];

const struct gather_effect *find(enum gather_effect_kind kind)
{
    const struct gather_effect *found = NULL;

    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == kind)
            found = &effects.item[i];
    return found;
}

const struct gather_effect *sent(enum message_kind kind)
{
    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == GATHER_DO_SEND && effects.item[i].send.kind == kind)
            return &effects.item[i];
    return NULL;
}

const struct gather_effect *the(enum gather_effect_kind kind)
{
    static const struct gather_effect none;
    const struct gather_effect *found = find(kind);

    assert_non_null(found);
    return found == NULL ? &none : found;
}

const struct gather_effect *the_sent(enum message_kind kind)
{
    static const struct gather_effect none;
    const struct gather_effect *found = sent(kind);

    assert_non_null(found);
    return found == NULL ? &none : found;
}

static void keep_records(void)
{
    for (size_t i = 0; i < effects.n; i++) {
        if (effects.item[i].kind != GATHER_DO_JOURNAL)
            continue;
        record_len[n_records] = effects.item[i].journal.len;
        records[n_records] = malloc(record_len[n_records]);
        assert_non_null(records[n_records]);
        memcpy(records[n_records++], effects.item[i].journal.record, effects.item[i].journal.len);
    }
}

bool reported(const char *part)
{
    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == GATHER_DO_REPORT &&
            strstr(effects.item[i].report.text, part) != NULL)
            return true;
    return false;
}

static void make_adverts(void)
{
    struct site_set v0 = *the(GATHER_DO_OPENED)->opened.sites;
    struct graph_terms wanted = {.collusion = terms.collusion};
    struct graph graph;

    said[0].n = said[1].n = 0;
    assert_int_equal(graph_make(&wanted, run.run, status.round, &v0, &graph), CHOIR_OK);
    for (size_t i = 0; i < v0.n; i++) {
        const struct masking_terms mine = {.self = v0.id[i],
                                           .suite = terms.suite,
                                           .quorum = the(GATHER_DO_OPENED)->opened.threshold,
                                           .graph = &graph,
                                           .v0 = &v0};
        uint8_t fresh[MESSAGE_NONCE_BYTES] = {(uint8_t)v0.id[i], session};

        masking_free(site[v0.id[i]]);
        assert_int_equal(masking_new(&mine, r0, fresh, &site[v0.id[i]]), CHOIR_OK);
        masking_advert(site[v0.id[i]], &advert[v0.id[i]]);
        advert[v0.id[i]].suite = terms.suite;
    }
}

static void make_bundles(const struct site_set *v1)
{
    for (size_t i = 0; i < v1->n; i++) {
        for (size_t j = 0; j < v1->n; j++)
            assert_int_equal(masking_meet(site[v1->id[i]], v1->id[j], &advert[v1->id[j]]),
                             CHOIR_OK);
        assert_int_equal(masking_share(site[v1->id[i]], r1, &bundle[v1->id[i]]), CHOIR_OK);
        bundle[v1->id[i]].suite = terms.suite;
    }
}

// Each takes what the others have sealed for it, as the aggregator passes it on.
static void take_shares(const struct gather_effect *effect)
{
    static struct message all;
    const uint8_t *body;
    size_t len;

    for (size_t i = 0; i < effect->send.to->n; i++) {
        uint32_t id = effect->send.to->id[i];
        struct maskset *masks = NULL;

        assert_int_equal(gather_body(gather, effect, id, &body, &len), CHOIR_OK);
        assert_int_equal(message_decode(MESSAGE_SHARES_ALL, body, len, &all), CHOIR_OK);
        for (size_t k = 0; k < all.shares_all.n; k++)
            if (all.shares_all.bundle[k].has_cipher)
                (void)!masking_take(site[id], all.shares_all.bundle[k].from, r1,
                                    all.shares_all.bundle[k].cipher);
        assert_int_equal(masking_masks(site[id], effect->send.to, r2, &masks), CHOIR_OK);
        maskset_free(masks);
    }
}

static void make_answers(const struct site_set *v2, const struct site_set *u)
{
    for (size_t i = 0; i < u->n; i++) {
        assert_int_equal(masking_reveal(site[u->id[i]], v2, u, &answer[u->id[i]]), CHOIR_OK);
        answer[u->id[i]].suite = terms.suite;
    }
}

static void link_transcript(unsigned step, uint8_t *r, const uint8_t *before,
                            const struct site_set *in)
{
    static struct said list;

    list.n = 0;
    for (size_t i = 0; i < said[step - 1].n; i++) {
        if (!site_set_has(in, said[step - 1].id[i]))
            continue;
        list.id[list.n] = said[step - 1].id[i];
        memcpy(list.hash[list.n++], said[step - 1].hash[i], HASH_BYTES);
    }
    assert_int_equal(transcript_next(r, step, before, &list), CHOIR_OK);
}

// The transcript as the sites see it, from what is sent; and what they derive from it.
static void follow_transcript(void)
{
    const struct gather_effect *adverts = sent(MESSAGE_ADVERTS);
    const struct gather_effect *all = sent(MESSAGE_SHARES_ALL);
    static struct site_set v2;

    if (find(GATHER_DO_OPENED) != NULL) {
        memcpy(r0, the(GATHER_DO_OPENED)->opened.r0, HASH_BYTES);
        said[0].n = said[1].n = 0;
        if (terms.suite > 0)
            make_adverts();
    }
    if (adverts != NULL && adverts->send.to->n > 1) {
        link_transcript(1, r1, r0, adverts->send.to);
        if (terms.suite > 0)
            make_bundles(adverts->send.to);
    }
    if (all != NULL && all->send.to->n > 1) {
        v2 = *all->send.to;
        link_transcript(2, r2, r1, &v2);
        if (terms.suite > 0)
            take_shares(all);
    }
    if (find(GATHER_DO_SURVIVORS) != NULL) {
        memcpy(r3, the(GATHER_DO_SURVIVORS)->survivors.r3, HASH_BYTES);
        if (terms.suite > 0)
            make_answers(&v2, the(GATHER_DO_SURVIVORS)->survivors.sites);
    }
}

void happens(struct gather_event event)
{
    event.now_ms = now_ms;
    assert_int_equal(gather_step(gather, &event, &effects), CHOIR_OK);
    keep_records();
    gather_status_get(gather, &status);
    follow_transcript();
}

// Ids ascend in the list, whoever comes first.
static void note(struct said *list, uint32_t id, const uint8_t *body, size_t len)
{
    size_t i = list->n;

    for (size_t k = 0; k < list->n; k++)
        if (list->id[k] == id)
            return;
    for (; i > 0 && list->id[i - 1] > id; i--) {
        list->id[i] = list->id[i - 1];
        memcpy(list->hash[i], list->hash[i - 1], HASH_BYTES);
    }
    list->id[i] = id;
    hash_bytes(list->hash[i], body, len);
    list->n++;
}

void arrives(uint32_t from, const uint8_t *transcript)
{
    static uint64_t sequence;
    static uint8_t body[4096], bytes[FAKE_HEAD + 4096];
    struct incoming incoming = {.kind = (uint16_t)message.kind,
                                .round = status.round,
                                .attempt = status.attempt,
                                .sender = from,
                                .body = body};
    size_t len;

    memcpy(incoming.run, run.run, MESSAGE_RUN_BYTES);
    memcpy(incoming.transcript, transcript, HASH_BYTES);
    assert_int_equal(message_encode(&message, body, sizeof body, &incoming.body_len), CHOIR_OK);
    if (message.kind == MESSAGE_ADVERTISE || message.kind == MESSAGE_SHARES)
        note(&said[message.kind == MESSAGE_SHARES], from, body, incoming.body_len);
    len = fake_seal(&incoming, sequence++, bytes, sizeof bytes);
    assert_int_equal(fake_open(NULL, bytes, len, &incoming), CHOIR_OK);
    happens((struct gather_event){.kind = GATHER_MESSAGE, .message = &incoming});
}

static bool is_here(uint32_t id)
{
    return (terms.gone >> id & 1) == 0;
}

void joins(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_JOIN;
    message.join.session[0] = session++;
    message.join.suites = terms.suites;
    arrives(from, zeros);
}

void accepts(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_PLAN_ANSWER;
    message.plan_answer.accepted = true;
    message.plan_answer.minimum_cohort = 2;
    arrives(from, zeros);
}

void starts(void)
{
    run = (struct gather_run){.run = "the run",
                              .plan = (const uint8_t *)"{}",
                              .plan_len = 2,
                              .rounds = 2,
                              .n_parameters = 10,
                              .update_bytes = 44,
                              .lane_bits = 32,
                              .min_sites = 3,
                              .deadline_ms = DEADLINE_MS,
                              .suite = terms.suite,
                              .n_sites = terms.n};
    for (uint32_t i = 0; i < terms.n; i++)
        run.site[i] = (struct gather_site){.id = i + 1, .nominal_size = 100};
    happens((struct gather_event){.kind = GATHER_START, .run = &run});
}

void to_open(void)
{
    for (uint32_t id = 1; id <= terms.n; id++) {
        joins(id);
        accepts(id);
    }
    assert_int_equal(status.phase, GATHER_OPEN);
}

void advertises(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ADVERTISE;
    if (terms.suite > 0)
        message.advertise = advert[from];
    arrives(from, r0);
}

void shares(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_SHARES;
    if (terms.suite > 0)
        message.shares = bundle[from];
    arrives(from, r1);
}

void to_share(void)
{
    to_open();
    for (uint32_t id = 1; id <= terms.n; id++)
        if (is_here(id))
            advertises(id);
}

void to_masked(void)
{
    to_share();
    for (uint32_t id = 1; id <= terms.n; id++)
        if (is_here(id))
            shares(id);
    assert_int_equal(status.phase, GATHER_MASKED);
}

void masked(uint32_t from, uint8_t root)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_MASKED;
    message.masked = (struct msg_masked){.suite = terms.suite,
                                         .site = from,
                                         .n_parameters = 10,
                                         .lane_bits = 32,
                                         .bytes = 44,
                                         .root = {root}};
    memcpy(message.masked.r2, r2, HASH_BYTES);
    arrives(from, r2);
}

void uploads(uint32_t from)
{
    masked(from, (uint8_t)from);
    happens((struct gather_event){.kind = GATHER_UPLOADED, .site = from, .hash = {(uint8_t)from}});
}

void to_consent(void)
{
    to_masked();
    for (uint32_t id = 1; id <= terms.n; id++)
        if (is_here(id))
            uploads(id);
    assert_int_equal(status.phase, GATHER_CONSENT);
}

void consents(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_CONSENT;
    memcpy(message.consent.r2, r2, HASH_BYTES);
    memcpy(message.consent.r3, r3, HASH_BYTES);
    arrives(from, r3);
}

void to_unmask(void)
{
    to_consent();
    for (uint32_t id = 1; id <= terms.n && status.phase == GATHER_CONSENT; id++)
        if (is_here(id))
            consents(id);
    assert_int_equal(status.phase, GATHER_UNMASK);
}

void unmasks(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_UNMASK;
    if (terms.suite > 0)
        message.unmask = answer[from];
    arrives(from, r3);
}

void beats(uint32_t from, enum message_activity activity)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_HEARTBEAT;
    message.heartbeat.activity = activity;
    arrives(from, zeros);
}

void time_passes(uint64_t ms)
{
    now_ms += ms;
    happens((struct gather_event){.kind = GATHER_TICK});
}

static struct gather *fresh_gather(void)
{
    struct gather_settings settings = {.resend_ms = 500,
                                       .heartbeat_ms = BEAT_MS,
                                       .collusion = terms.collusion,
                                       .graph = {.collusion = terms.collusion},
                                       .open = fake_open,
                                       .roster = {.n = terms.n, .id = {1, 2, 3, 4, 5, 6, 7}}};
    struct gather *made = NULL;

    assert_int_equal(gather_new(&settings, &made), CHOIR_OK);
    return made;
}

void starts_again(void)
{
    struct gather_event event = {.now_ms = now_ms, .fresh = {7}};

    gather_free(gather);
    gather = fresh_gather();
    for (size_t i = 0; i < n_records; i++)
        assert_int_equal(gather_replay(gather, records[i], record_len[i]), CHOIR_OK);
    assert_int_equal(gather_resume(gather, &event, &effects), CHOIR_OK);
    keep_records();
    gather_status_get(gather, &status);
}

static int begin(struct stage_terms wanted)
{
    terms = wanted;
    now_ms = 1000;
    session = 1;
    gather = fresh_gather();
    starts();
    return 0;
}

int new_run(void **state)
{
    (void)state;
    return begin((struct stage_terms){.n = N});
}

int new_masked_run(void **state)
{
    (void)state;
    return begin((struct stage_terms){.n = STAGE_SITES, .collusion = 2, .suite = 1, .suites = 0xe});
}

int end_run(void **state)
{
    (void)state;
    while (n_records > 0)
        free(records[--n_records]);
    for (uint32_t id = 1; id <= STAGE_SITES; id++) {
        masking_free(site[id]);
        site[id] = NULL;
    }
    gather_free(gather);
    gather = NULL;
    return 0;
}
