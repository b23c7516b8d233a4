/* The proof of a round of four sites, with real signatures; site 4 shared and dropped out. */
#include "round/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/maskset.h"
#include "round/masking.h"
#include "wire/envelope.h"

enum { N = 4, N_U = 3, T = 3, BODY_MAX = 2048 };

struct paper {
    uint8_t *bytes;
    size_t len;
};

static const uint8_t run[] = "run of the proof"; // 16 bytes and a zero
static const uint8_t roster_hash[HASH_BYTES] = {9};
static struct roster_site members[N];
static struct roster roster = {.epoch = 1, .n_sites = N, .sites = members};
static uint8_t secret_key[N][SIGN_SECRET_BYTES];
static struct masking *site[N];
static struct maskset *masks[N];
static struct message message;
static struct paper papers[3][N]; // adverts, headers, consents
static uint8_t parts[4][BODY_MAX], *proof_bytes;
static size_t proof_len;
static uint8_t r[4][HASH_BYTES];
static struct site_set all = {N, {1, 2, 3, 4}}, u = {N_U, {1, 2, 3}};
static struct proof proof;
static struct said said;
static struct proof_terms terms;
static struct proof_result result;

static enum choir_err open_letter(const void *context, const uint8_t *bytes, size_t len,
                                  struct incoming *out)
{
    struct envelope envelope;
    enum choir_err err = envelope_open(bytes, len, (const struct roster *)context, &envelope,
                                       &out->body, &out->body_len);

    if (err != CHOIR_OK)
        return err;
    out->kind = envelope.kind;
    memcpy(out->run, envelope.run, sizeof out->run);
    out->round = envelope.round_no;
    out->attempt = envelope.attempt;
    out->sender = envelope.sender;
    memcpy(out->transcript, envelope.transcript, HASH_BYTES);
    out->signed_bytes = bytes;
    out->signed_len = len;
    return CHOIR_OK;
}

// `message` as said by site `i`: signed, and into `said`.
static void says(size_t i, const uint8_t *transcript, struct paper *paper)
{
    uint8_t body[BODY_MAX];
    struct envelope envelope = {.kind = (uint16_t)message.kind,
                                .round_no = 1,
                                .attempt = 1,
                                .sender = (uint32_t)(i + 1),
                                .sequence = 5,
                                .roster_epoch = 1};
    size_t len;

    memcpy(envelope.run, run, sizeof envelope.run);
    memcpy(envelope.transcript, transcript, HASH_BYTES);
    assert_int_equal(message_encode(&message, body, sizeof body, &len), CHOIR_OK);
    said.id[i] = (uint32_t)(i + 1);
    hash_bytes(said.hash[i], body, len);
    said.n = i + 1;
    if (paper != NULL)
        assert_int_equal(
            envelope_seal(&envelope, body, len, secret_key[i], &paper->bytes, &paper->len),
            CHOIR_OK);
}

static void list_of(struct envelope_list *list, const struct paper *from, size_t n)
{
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        list->item[i].at = from[i].bytes;
        list->item[i].len = from[i].len;
    }
}

static struct proof_part part_of(size_t k)
{
    size_t len;

    assert_int_equal(message_encode(&message, parts[k], BODY_MAX, &len), CHOIR_OK);
    return (struct proof_part){parts[k], len};
}

static void opens(void)
{
    struct msg_round_open *open = &message.round_open;

    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ROUND_OPEN;
    memcpy(open->run, run, sizeof open->run);
    open->round = open->attempt = 1;
    open->n_parameters = 20;
    open->lane_bits = 32;
    open->suite = 1;
    open->deadline_ms = 1000;
    open->threshold = T;
    open->minimum = T;
    open->sites = all;
    proof.open = part_of(0);
    assert_int_equal(transcript_open(r[0], roster_hash, proof.open.at, proof.open.len), CHOIR_OK);
}

static void advertise(void)
{
    static struct msg_advertise advert[N];
    struct graph graph;

    assert_int_equal(graph_make(&terms.graph, run, 1, &all, &graph), CHOIR_OK);
    message.kind = MESSAGE_ADVERTISE;
    for (size_t i = 0; i < N; i++) {
        const struct masking_terms mine = {
            .self = (uint32_t)(i + 1), .suite = 1, .quorum = T, .graph = &graph, .v0 = &all};
        uint8_t fresh[MESSAGE_NONCE_BYTES] = {(uint8_t)(i + 1)};

        assert_int_equal(masking_new(&mine, r[0], fresh, &site[i]), CHOIR_OK);
        masking_advert(site[i], &advert[i]);
        message.advertise = advert[i];
        says(i, r[0], &papers[0][i]);
    }
    assert_int_equal(transcript_next(r[1], 1, r[0], &said), CHOIR_OK);
    message.kind = MESSAGE_ADVERTS;
    list_of(&message.adverts.adverts, papers[0], N);
    proof.adverts = part_of(1);
    for (size_t i = 0; i < N; i++)
        for (uint32_t j = 0; j < N; j++)
            assert_int_equal(masking_meet(site[i], j + 1, &advert[j]), CHOIR_OK);
}

static void share(void)
{
    static struct msg_shares shares[N];

    message.kind = MESSAGE_SHARES;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(masking_share(site[i], r[1], &shares[i]), CHOIR_OK);
        message.shares = shares[i];
        says(i, r[1], NULL);
    }
    proof.bundles = said;
    assert_int_equal(transcript_next(r[2], 2, r[1], &said), CHOIR_OK);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            if (i != j)
                assert_int_equal(masking_take(site[i], (uint32_t)(j + 1), r[1],
                                              shares[j].cipher[i < j ? i : i - 1].bytes),
                                 CHOIR_OK);
}

static void mask(void)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_MASKED;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(masking_masks(site[i], &all, r[2], &masks[i]), CHOIR_OK);
        message.masked = (struct msg_masked){.suite = 1,
                                             .site = (uint32_t)(i + 1),
                                             .n_parameters = 20,
                                             .lane_bits = 32,
                                             .bytes = 84,
                                             .root = {(uint8_t)(i + 1)}};
        memcpy(message.masked.r2, r[2], HASH_BYTES);
        if (i < N_U)
            says(i, r[2], &papers[1][i]);
    }
    assert_int_equal(transcript_next(r[3], 3, r[2], &said), CHOIR_OK);
    message.kind = MESSAGE_SURVIVORS;
    memcpy(message.survivors.r3, r[3], HASH_BYTES);
    list_of(&message.survivors.headers, papers[1], N_U);
    proof.survivors = part_of(2);
}

static void consent(size_t n, const uint8_t *transcript)
{
    message.kind = MESSAGE_CONSENT;
    memcpy(message.consent.r2, r[2], HASH_BYTES);
    memcpy(message.consent.r3, r[3], HASH_BYTES);
    for (size_t i = 0; i < n; i++)
        says(i, transcript, &papers[2][i]);
    message.kind = MESSAGE_CONSENTS;
    list_of(&message.consents.consents, papers[2], n);
    proof.consents = part_of(3);
}

static void reveal(void)
{
    static struct msg_unmask answer[N_U];
    static struct unmasking_terms wanted;
    struct unmasking *unmasking = NULL;
    struct unmasking_faults faults;
    struct maskset *unmask = NULL;
    uint32_t other;
    size_t failed;

    wanted.suite = 1;
    wanted.threshold = T;
    wanted.v0 = all;
    memcpy(wanted.r0, r[0], HASH_BYTES);
    assert_int_equal(graph_make(&terms.graph, run, 1, &all, &wanted.graph), CHOIR_OK);
    assert_int_equal(unmasking_new(&wanted, &unmasking), CHOIR_OK);
    for (size_t i = 0; i < N; i++) {
        masking_advert(site[i], &message.advertise);
        assert_int_equal(unmasking_advert(unmasking, (uint32_t)(i + 1), &message.advertise, &other),
                         CHOIR_OK);
    }
    unmasking_set_v1(unmasking, &all, r[1]);
    assert_int_equal(unmasking_set_survivors(unmasking, &all, &u, r[2]), CHOIR_OK);
    for (size_t i = 0; i < N_U; i++) {
        assert_int_equal(masking_reveal(site[i], &all, &u, &answer[i]), CHOIR_OK);
        unmasking_answer(unmasking, (uint32_t)(i + 1), &answer[i]);
    }
    assert_int_equal(unmasking_restore(unmasking, &failed, &faults), CHOIR_OK);
    assert_int_equal(unmasking_harvest(unmasking, proof.revealed, &proof.n_revealed, &unmask),
                     CHOIR_OK);
    maskset_free(unmask);
    unmasking_free(unmasking);
}

static void encode(void)
{
    free(proof_bytes);
    assert_int_equal(proof_encode(&proof, &proof_bytes, &proof_len), CHOIR_OK);
}

static int make_proof(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        uint8_t seed[SIGN_SEED_BYTES] = {(uint8_t)(i + 1)};

        members[i].id = (uint32_t)(i + 1);
        sign_keypair_from_seed(members[i].sign_key, secret_key[i], seed);
    }
    memcpy(terms.roster_hash, roster_hash, HASH_BYTES);
    terms.roster = all;
    terms.open = open_letter;
    terms.open_context = &roster;
    memcpy(proof.run, run, sizeof proof.run);
    proof.round = proof.attempt = 1;
    opens();
    advertise();
    share();
    mask();
    consent(N_U, r[3]);
    reveal();
    encode();
    return 0;
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        masking_free(site[i]);
        maskset_free(masks[i]);
        for (size_t k = 0; k < 3; k++)
            free(papers[k][i].bytes);
    }
    memset(papers, 0, sizeof papers);
    free(proof_bytes);
    proof_bytes = NULL;
    return 0;
}

static enum choir_err checks(void)
{
    enum choir_err err = proof_check(&terms, proof_bytes, proof_len, &result);

    if (err != CHOIR_OK)
        assert_null(result.unmask);
    assert_int_equal(err == CHOIR_OK, result.fault[0] == '\0');
    return err;
}

static void apply(const struct maskset *set, uint8_t *lanes, size_t len)
{
    struct mask *worker = NULL;

    assert_int_equal(mask_open(1, &worker), CHOIR_OK);
    maskset_apply(set, worker, 0, 32, 0, lanes, len);
    mask_close(worker);
}

static void a_good_proof_gives_the_sets_the_roots_and_the_masks(void **state)
{
    uint8_t sum[84] = {0}, hash[HASH_BYTES];

    (void)state;
    assert_int_equal(checks(), CHOIR_OK);
    for (size_t k = 0; k < 4; k++)
        assert_memory_equal(result.r[k], r[k], HASH_BYTES);
    assert_int_equal(result.v2.n, N);
    assert_int_equal(result.u.n, N_U);
    assert_int_equal(result.n_consents, N_U);
    assert_int_equal(result.bytes, 84);
    for (size_t i = 0; i < N_U; i++) {
        assert_int_equal(result.root[i][0], i + 1);
        apply(masks[i], sum, sizeof sum);
    }
    apply(result.unmask, sum, sizeof sum);
    for (size_t i = 0; i < sizeof sum; i++)
        assert_int_equal(sum[i], 0);
    assert_int_equal(revealed_hash(hash, r[3], proof.revealed, proof.n_revealed), CHOIR_OK);
    assert_memory_equal(hash, result.revealed_hash, HASH_BYTES);
    maskset_free(result.unmask);
}

static void every_changed_byte_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < proof_len; i++) {
        proof_bytes[i] ^= (uint8_t)(1U << i % 8);
        if (checks() == CHOIR_OK)
            fail_msg("byte %zu of %zu was changed, and the proof still holds", i, proof_len);
        proof_bytes[i] ^= (uint8_t)(1U << i % 8);
    }
}

static void a_proof_that_is_cut_or_longer_cannot_be_read(void **state)
{
    uint8_t *longer = calloc(1, proof_len + 1);

    (void)state;
    assert_non_null(longer);
    memcpy(longer, proof_bytes, proof_len);
    for (size_t len = 0; len < proof_len; len++)
        assert_int_equal(proof_decode(longer, len, &proof), CHOIR_ERR_FORMAT);
    assert_int_equal(proof_decode(longer, proof_len + 1, &proof), CHOIR_ERR_FORMAT);
    assert_int_equal(proof_decode(longer, proof_len, &proof), CHOIR_OK);
    free(longer);
}

static void consent_again(size_t n, const uint8_t *transcript)
{
    for (size_t i = 0; i < N_U; i++)
        free(papers[2][i].bytes);
    memset(papers[2], 0, sizeof papers[2]);
    consent(n, transcript);
    encode();
}

static void letters_that_answer_something_else_are_found(void **state)
{
    (void)state;
    consent_again(N_U, r[2]);
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
    assert_string_equal(result.fault, "consent number 1 does not belong there");
}

static void too_few_consents_prove_nothing(void **state)
{
    (void)state;
    consent_again(T - 1, r[3]);
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
    assert_string_equal(result.fault, "the consent has 2 sites, fewer than 3");
}

static void another_roster_or_more_colluding_sites_are_found(void **state)
{
    (void)state;
    terms.roster_hash[0] ^= 1;
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
    terms.roster_hash[0] ^= 1;
    terms.collusion = 1; // U_min = 3 hides two honest sites only
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
    terms.collusion = 2; // T = 3 of 4 is too few
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
    terms.collusion = 0;
    terms.roster.n = 3;
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
    assert_string_equal(result.fault, "a site is not in the roster");
    terms.roster.n = 4;
    sign_keypair_from_seed(members[2].sign_key, secret_key[2], roster_hash);
    assert_int_equal(checks(), CHOIR_ERR_FORGED);
}

static void a_round_without_masks_has_no_proof(void **state)
{
    (void)state;
    opens();
    message.round_open.suite = 0;
    proof.open = part_of(0);
    encode();
    assert_int_equal(checks(), CHOIR_ERR_REFUSED);
}

static void a_list_of_other_secrets_cannot_be_written(void **state)
{
    uint8_t *bytes = NULL;
    size_t len;

    (void)state;
    proof.n_revealed--;
    assert_int_equal(proof_encode(&proof, &bytes, &len), CHOIR_ERR_FORMAT);
    proof.n_revealed++;
    proof.revealed[2].id = 4;
    assert_int_equal(proof_encode(&proof, &bytes, &len), CHOIR_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_proof_gives_the_sets_the_roots_and_the_masks,
                                        make_proof, forget),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_found, make_proof, forget),
        cmocka_unit_test_setup_teardown(a_proof_that_is_cut_or_longer_cannot_be_read, make_proof,
                                        forget),
        cmocka_unit_test_setup_teardown(letters_that_answer_something_else_are_found, make_proof,
                                        forget),
        cmocka_unit_test_setup_teardown(too_few_consents_prove_nothing, make_proof, forget),
        cmocka_unit_test_setup_teardown(another_roster_or_more_colluding_sites_are_found,
                                        make_proof, forget),
        cmocka_unit_test_setup_teardown(a_round_without_masks_has_no_proof, make_proof, forget),
        cmocka_unit_test_setup_teardown(a_list_of_other_secrets_cannot_be_written, make_proof,
                                        forget),
    };

    return cmocka_run_group_tests_name("proof", tests, NULL, NULL);
}
