/* A site in a round of more sites than a complete graph is made for: whom it shares with, whose
 * messages it verifies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/rng.h"
#include "fake.h"
#include "round/masking.h"
#include "round/site.h"
#include "round/transcript.h"

enum { N = 120, SELF = 60, ADVERT_BYTES = 98, ENVELOPE = FAKE_HEAD + ADVERT_BYTES };

static struct site *site;
static struct site_effects effects;
static struct message message;
static struct graph graph;
static struct site_set v0;
static struct masking *others[N + 1]; // by id
static uint8_t envelope[N][ENVELOPE], r0[HASH_BYTES], r1[HASH_BYTES], shares[84004];
static const uint8_t fresh[MESSAGE_NONCE_BYTES] = {7}, zeros[HASH_BYTES];
static const uint8_t run[MESSAGE_RUN_BYTES] = "the run";
static const struct graph_terms terms = {.has_seed = true, .seed = {1}, .collusion = 2};
static size_t n_opened, n_peeked, shares_len;
static uint32_t attempt = 1; // of the next message
static struct said said;

static enum choir_err counting_open(const void *context, const uint8_t *bytes, size_t len,
                                    struct incoming *out)
{
    n_opened++;
    return fake_open(context, bytes, len, out);
}

static enum choir_err counting_peek(const void *context, const uint8_t *bytes, size_t len,
                                    struct incoming *out)
{
    n_peeked++;
    return fake_open(context, bytes, len, out);
}

static void happens(struct site_event event)
{
    memcpy(event.fresh, fresh, sizeof fresh);
    event.now_ms = 1000;
    assert_int_equal(site_step(site, &event, &effects), CHOIR_OK);
}

static const struct site_effect *sent(enum message_kind kind)
{
    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == SITE_DO_SEND && effects.item[i].send.kind == kind)
            return &effects.item[i];
    return NULL;
}

static void arrives(const uint8_t *transcript)
{
    static uint8_t body[N * (ENVELOPE + 2) + 1000];
    struct incoming incoming = {
        .kind = (uint16_t)message.kind, .round = 1, .attempt = attempt, .body = body};

    memcpy(incoming.run, run, sizeof incoming.run);
    memcpy(incoming.transcript, transcript, HASH_BYTES);
    assert_int_equal(message_encode(&message, body, sizeof body, &incoming.body_len), CHOIR_OK);
    if (message.kind == MESSAGE_ROUND_OPEN)
        assert_int_equal(transcript_open(r0, zeros, body, incoming.body_len), CHOIR_OK);
    // cppcheck-suppress danglingLifetime ; borrowed for the call
    happens((struct site_event){.kind = SITE_MESSAGE, .message = &incoming});
}

static void plan_is_accepted(void)
{
    struct site_plan plan = {
        .accepted = true, .rounds = 9, .n_parameters = 10, .lane_bits = 32, .suite = 1};

    memcpy(plan.run, run, sizeof plan.run);
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_PLAN_OFFER;
    message.plan_offer.plan = (const uint8_t *)"{}";
    message.plan_offer.plan_len = 2;
    arrives(zeros);
    // cppcheck-suppress danglingLifetime ; borrowed for the call
    happens((struct site_event){.kind = SITE_PLAN_CHECKED, .plan = &plan});
}

static int start(void **state)
{
    static struct site_settings settings;

    (void)state;
    settings = (struct site_settings){.id = SELF,
                                      .collusion = 2,
                                      .graph = terms,
                                      .suites = 3,
                                      .open = counting_open,
                                      .peek = counting_peek};
    if (rng_start() != CHOIR_OK)
        return -1;
    for (uint32_t id = 1; id <= N; id++)
        v0.id[v0.n++] = id;
    settings.roster = v0;
    if (graph_make(&terms, run, 1, &v0, &graph) != CHOIR_OK ||
        site_new(&settings, &site) != CHOIR_OK)
        return -1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    site_free(site);
    for (size_t id = 1; id <= N; id++)
        masking_free(others[id]);
    return 0;
}

// A ROUND_OPEN for fewer sites, so with another graph, which is refused for its log.
static void another_attempt_is_refused(void)
{
    struct msg_round_open *open = &message.round_open;
    uint8_t kept[HASH_BYTES];

    memcpy(kept, r0, sizeof kept);
    open->attempt = attempt = 2;
    open->sites.n = N - 10;
    open->log.size--;
    arrives(zeros);
    assert_non_null(sent(MESSAGE_REFUSE));
    memcpy(r0, kept, sizeof kept);
    attempt = 1;
}

static void the_round_opens(void)
{
    struct msg_round_open *open = &message.round_open;

    plan_is_accepted();
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ROUND_OPEN;
    memcpy(open->run, run, sizeof open->run);
    open->round = open->attempt = 1;
    open->n_parameters = 10;
    open->lane_bits = 32;
    open->suite = 1;
    open->deadline_ms = 1000;
    open->threshold = open->minimum = 62;
    open->sites = v0;
    open->log.size = 10;
    arrives(zeros);
    another_attempt_is_refused();
    happens((struct site_event){.kind = SITE_MARK_STORED, .round = 1, .attempt = 1});
    assert_non_null(sent(MESSAGE_ADVERTISE));
}

// The own advert, or one that site `id` makes.
static void advert_of(uint32_t id, uint8_t *body)
{
    struct masking_terms of = {.self = id, .suite = 1, .quorum = 62, .graph = &graph, .v0 = &v0};
    uint8_t other_fresh[MESSAGE_NONCE_BYTES];
    size_t len;

    if (id == SELF) {
        memcpy(body, sent(MESSAGE_ADVERTISE)->send.body, ADVERT_BYTES);
        return;
    }
    rng_bytes(other_fresh, sizeof other_fresh);
    assert_int_equal(masking_new(&of, r0, other_fresh, &others[id]), CHOIR_OK);
    message.kind = MESSAGE_ADVERTISE;
    masking_advert(others[id], &message.advertise);
    assert_int_equal(message_encode(&message, body, ADVERT_BYTES, &len), CHOIR_OK);
}

static void the_adverts_arrive(void)
{
    static uint8_t body[N][ADVERT_BYTES];

    for (uint32_t id = 1; id <= N; id++) {
        struct incoming incoming = {.kind = MESSAGE_ADVERTISE,
                                    .round = 1,
                                    .attempt = 1,
                                    .sender = id,
                                    .body = body[id - 1],
                                    .body_len = ADVERT_BYTES};

        advert_of(id, body[id - 1]);
        memcpy(incoming.run, run, sizeof incoming.run);
        memcpy(incoming.transcript, r0, HASH_BYTES);
        (void)fake_seal(&incoming, id, envelope[id - 1], ENVELOPE);
        said.id[said.n] = id;
        hash_bytes(said.hash[said.n++], body[id - 1], ADVERT_BYTES);
    }
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ADVERTS;
    message.adverts.adverts.n = N;
    for (size_t i = 0; i < N; i++) {
        message.adverts.adverts.item[i].at = envelope[i];
        message.adverts.adverts.item[i].len = ENVELOPE;
    }
    assert_int_equal(transcript_next(r1, 1, r0, &said), CHOIR_OK);
    arrives(r0);
    assert_non_null(sent(MESSAGE_SHARES));
    shares_len = sent(MESSAGE_SHARES)->send.body_len;
    memcpy(shares, sent(MESSAGE_SHARES)->send.body, shares_len);
}

static void the_others_meet(uint32_t id)
{
    static struct message advert;

    for (uint32_t other = 1; other <= N; other++) {
        const uint8_t *body = envelope[other - 1] + FAKE_HEAD;

        assert_int_equal(message_decode(MESSAGE_ADVERTISE, body, ADVERT_BYTES, &advert), CHOIR_OK);
        assert_int_equal(masking_meet(others[id], other, &advert.advertise), CHOIR_OK);
    }
}

// The bundle of `from`, with what it seals for this site if it is a neighbour.
static void bundle_of(uint32_t from, size_t place)
{
    static struct msg_shares made;
    struct msg_shares_all *all = &message.shares_all;

    all->bundle[place].from = from;
    if (from == SELF)
        hash_bytes(all->bundle[place].bundle_hash, shares, shares_len);
    if (!graph_edge(&graph, SELF, from))
        return;
    the_others_meet(from);
    assert_int_equal(masking_share(others[from], r1, &made), CHOIR_OK);
    for (size_t k = 0; k < made.n; k++)
        if (made.cipher[k].to == SELF) {
            all->bundle[place].has_cipher = true;
            memcpy(all->bundle[place].cipher, made.cipher[k].bytes, MESSAGE_CIPHER_MAX);
        }
}

static void a_site_shares_with_its_neighbours_and_verifies_theirs_only(void **state)
{
    size_t degree = graph_degree(&graph, SELF, &v0);

    (void)state;
    assert_false(graph_is_complete(&graph));
    assert_in_range(degree, 1, N - 2);
    the_round_opens();
    the_adverts_arrive();
    assert_int_equal(n_peeked, N);
    assert_int_equal(n_opened, degree + 1);
    assert_int_equal(shares_len, 4 + degree * (4 + MESSAGE_CIPHER_MAX));

    happens((struct site_event){.kind = SITE_MODEL_READY});
    happens((struct site_event){.kind = SITE_UPDATE_READY, .round = 1, .update = {.bytes = 44}});
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_SHARES_ALL;
    message.shares_all.suite = 1;
    message.shares_all.n = N;
    for (uint32_t id = 1; id <= N; id++)
        bundle_of(id, id - 1);
    arrives(r1);
    assert_int_equal(effects.n, 1);
    assert_int_equal(effects.item[0].kind, SITE_DO_MASK);
    assert_int_equal(maskset_count(effects.item[0].mask.masks), degree + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_shares_with_its_neighbours_and_verifies_theirs_only),
    };

    return cmocka_run_group_tests_name("site_sparse", tests, start, end);
}
