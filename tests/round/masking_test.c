/* Sites that mask, drop out and reveal, and an aggregator that adds: all in one process. */
#include "round/masking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/agree.h"
#include "crypto/mask.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"

enum { N_MAX = 7, LANES = 100, BYTES_MAX = LANES * 4, SEGMENT = 5 };

struct site {
    struct masking *masking;
    struct msg_advertise advert;
    struct msg_shares shares;
    struct msg_unmask unmask;
    uint8_t vector[BYTES_MAX];
};

static struct site sites[N_MAX];
static uint32_t ids[N_MAX] = {2, 3, 17, 18, 400, 70000, 4000000000U};
static struct site_set v0;
static struct graph graph;
static uint32_t quorum;
static uint16_t suite;
static unsigned lane_bits;
static uint8_t r[3][HASH_BYTES];
static uint8_t plain[N_MAX][BYTES_MAX], total[BYTES_MAX];

static int start(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    rng_bytes(r, sizeof r);
    return 0;
}

static size_t vector_bytes(void)
{
    return LANES * lane_bits / 8;
}

static void setting(size_t n, uint32_t threshold, uint16_t of_suite, unsigned bits)
{
    static const struct graph_terms terms;
    static const uint8_t run[MESSAGE_RUN_BYTES];

    quorum = threshold;
    suite = of_suite;
    lane_bits = bits;
    v0.n = n;
    memcpy(v0.id, ids, n * sizeof ids[0]);
    assert_int_equal(graph_make(&terms, run, 1, &v0, &graph), CHOIR_OK);
}

static void begin(size_t i)
{
    struct masking_terms terms = {
        .self = ids[i], .suite = suite, .quorum = quorum, .graph = &graph, .v0 = &v0};
    uint8_t fresh[MESSAGE_NONCE_BYTES];

    rng_bytes(fresh, sizeof fresh);
    rng_bytes(plain[i], sizeof plain[i]);
    memcpy(sites[i].vector, plain[i], sizeof plain[i]);
    assert_int_equal(masking_new(&terms, r[0], fresh, &sites[i].masking), CHOIR_OK);
    masking_advert(sites[i].masking, &sites[i].advert);
}

static void end(void)
{
    for (size_t i = 0; i < v0.n; i++) {
        masking_free(sites[i].masking);
        sites[i].masking = NULL;
    }
}

static void advertise_and_share(void)
{
    for (size_t i = 0; i < v0.n; i++)
        begin(i);
    for (size_t i = 0; i < v0.n; i++) {
        for (size_t j = 0; j < v0.n; j++)
            assert_int_equal(masking_meet(sites[i].masking, ids[j], &sites[j].advert), CHOIR_OK);
        assert_int_equal(masking_share(sites[i].masking, r[1], &sites[i].shares), CHOIR_OK);
        assert_int_equal(sites[i].shares.n, v0.n - 1);
    }
}

// The box from site i to site j.
static const uint8_t *box_for(size_t i, size_t j)
{
    for (size_t k = 0; k < sites[i].shares.n; k++)
        if (sites[i].shares.cipher[k].to == ids[j])
            return sites[i].shares.cipher[k].bytes;
    return NULL;
}

static void take_all(size_t j)
{
    for (size_t i = 0; i < v0.n; i++)
        if (i != j)
            assert_int_equal(masking_take(sites[j].masking, ids[i], r[1], box_for(i, j)), CHOIR_OK);
}

static void put_masks_on(size_t i)
{
    struct maskset *set = NULL;
    struct mask *worker = NULL;

    assert_int_equal(masking_masks(sites[i].masking, &v0, r[2], &set), CHOIR_OK);
    assert_int_equal(maskset_count(set), v0.n);
    assert_int_equal(mask_open(suite, &worker), CHOIR_OK);
    maskset_apply(set, worker, SEGMENT, lane_bits, 0, sites[i].vector, vector_bytes());
    maskset_free(set);
    mask_close(worker);
}

static void add(uint8_t *to, const uint8_t *part)
{
    for (size_t i = 0; i < LANES; i++) {
        uint32_t carry = 0;

        for (size_t k = 0; k < lane_bits / 8; k++, carry >>= 8) {
            carry += to[i * lane_bits / 8 + k] + (uint32_t)part[i * lane_bits / 8 + k];
            to[i * lane_bits / 8 + k] = (uint8_t)carry;
        }
    }
}

// The secret of site i that the survivors revealed, from the first shares that suffice.
static bool recover(size_t i, unsigned survivors, uint8_t secret[static SHAMIR_SCALAR_BYTES])
{
    struct shamir_share shares[N_MAX];
    uint32_t holders[N_MAX];
    struct shamir_set *set = NULL;
    size_t n = 0;

    for (size_t j = 0; j < v0.n; j++)
        for (size_t k = 0; (survivors >> j & 1) != 0 && k < sites[j].unmask.n; k++)
            if (sites[j].unmask.share[k].of == ids[i]) {
                assert_int_equal(sites[j].unmask.share[k].of_mask_key, (survivors >> i & 1) == 0);
                holders[n] = ids[j];
                memcpy(shares[n++].bytes, sites[j].unmask.share[k].bytes, SHAMIR_SCALAR_BYTES);
            }
    if (n < quorum)
        return false;
    assert_int_equal(shamir_set_new(holders, n, quorum, &set), CHOIR_OK);
    assert_int_equal(shamir_combine(set, shares, secret), CHOIR_OK);
    assert_true(shamir_is_consistent(set, shares));
    shamir_set_free(set);
    return true;
}

static void take_off(enum mask_sign sign, const uint8_t *seed)
{
    struct mask *worker = NULL;

    assert_int_equal(mask_open(suite, &worker), CHOIR_OK);
    mask_begin(worker, seed, SEGMENT);
    mask_apply(worker, sign, lane_bits, 0, total, vector_bytes());
    mask_close(worker);
}

static void take_off_pairs(size_t dropped, const uint8_t *rho, unsigned survivors)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES], seed[MASK_SEED_BYTES];

    agree_mask_key(public_key, secret_key, rho, r[0]);
    assert_memory_equal(public_key, sites[dropped].advert.mask_key, CURVE_KEY_BYTES);
    for (size_t i = 0; i < v0.n; i++)
        if ((survivors >> i & 1) != 0) {
            assert_int_equal(agree_pair_seed(seed, secret_key, sites[i].advert.mask_key, r[2],
                                             ids[dropped], ids[i]),
                             CHOIR_OK);
            take_off(ids[i] < ids[dropped] ? MASK_SUBTRACT : MASK_ADD, seed);
        }
}

// The sum over `survivors` comes out; false if they are too few.
static bool sum_opens(unsigned survivors)
{
    uint8_t expected[BYTES_MAX] = {0}, secret[SHAMIR_SCALAR_BYTES], seed[MASK_SEED_BYTES];

    memset(total, 0, sizeof total);
    for (size_t i = 0; i < v0.n; i++) {
        if (!recover(i, survivors, secret))
            return false;
        if ((survivors >> i & 1) == 0) {
            take_off_pairs(i, secret, survivors);
            continue;
        }
        assert_int_equal(agree_check_commitment(sites[i].advert.commitment, r[0], ids[i], secret),
                         CHOIR_OK);
        agree_self_seed(seed, secret, r[2], ids[i]);
        take_off(MASK_SUBTRACT, seed);
        add(total, sites[i].vector);
        add(expected, plain[i]);
    }
    assert_memory_equal(total, expected, vector_bytes());
    return true;
}

static void set_of(unsigned survivors, struct site_set *u)
{
    u->n = 0;
    for (size_t i = 0; i < v0.n; i++)
        if ((survivors >> i & 1) != 0)
            u->id[u->n++] = ids[i];
}

// A whole round; whether its sum opened.
static bool round_with(unsigned survivors)
{
    static struct site_set u;
    bool opened;

    set_of(survivors, &u);
    advertise_and_share();
    for (size_t i = 0; i < v0.n; i++) {
        take_all(i);
        put_masks_on(i);
        assert_memory_not_equal(sites[i].vector, plain[i], vector_bytes());
    }
    for (size_t i = 0; i < v0.n; i++)
        assert_int_equal(masking_reveal(sites[i].masking, &v0, &u, &sites[i].unmask), CHOIR_OK);
    opened = sum_opens(survivors);
    end();
    return opened;
}

static size_t count(unsigned set)
{
    size_t n = 0;

    for (; set != 0; set &= set - 1)
        n++;
    return n;
}

static bool suite_is_offered(uint16_t of_suite)
{
    struct mask *worker = NULL;
    enum choir_err err = mask_open(of_suite, &worker);

    mask_close(worker);
    return err == CHOIR_OK;
}

static void masks_cancel_in_every_suite_and_lane_width(void **state)
{
    (void)state;
    for (uint16_t of_suite = MASK_AES256; of_suite <= (uint16_t)MASK_SM4; of_suite++)
        for (unsigned bits = 16; bits <= 32 && suite_is_offered(of_suite); bits += 16)
            for (size_t n = 2; n <= N_MAX; n++) {
                setting(n, (uint32_t)(n / 2 + 1), of_suite, bits);
                assert_true(round_with((1U << n) - 1));
            }
}

static void the_sum_of_the_survivors_opens_exactly_if_they_are_enough(void **state)
{
    (void)state;
    for (size_t n = 4; n <= 5; n++)
        for (unsigned survivors = 1; survivors < 1U << n; survivors++) {
            setting(n, (uint32_t)(n / 2 + 1), MASK_AES256, 32);
            assert_int_equal(round_with(survivors), count(survivors) >= quorum);
        }
}

static void of_no_site_are_both_shares_revealed(void **state)
{
    static const struct site_set all = {.n = 4, .id = {2, 3, 17, 18}};
    static const struct site_set some = {.n = 3, .id = {2, 3, 18}};
    static struct msg_unmask first, second;

    (void)state;
    setting(4, 3, MASK_AES256, 32);
    advertise_and_share();
    take_all(0);
    put_masks_on(0);
    assert_int_equal(masking_reveal(sites[0].masking, &v0, &some, &first), CHOIR_OK);
    assert_int_equal(first.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(first.share[i].of, ids[i]);
        assert_int_equal(first.share[i].of_mask_key, ids[i] == 17);
    }
    assert_int_equal(masking_reveal(sites[0].masking, &v0, &all, &second), CHOIR_ERR_REFUSED);
    assert_int_equal(second.n, 0);
    end();
}

static void a_box_that_was_changed_or_is_of_another_pair_is_not_taken(void **state)
{
    uint8_t box[MESSAGE_CIPHER_MAX];

    (void)state;
    setting(4, 3, MASK_AES256, 32);
    advertise_and_share();
    for (size_t at = 0; at < sizeof box; at += 13) {
        memcpy(box, box_for(1, 0), sizeof box);
        box[at] ^= 1;
        assert_int_equal(masking_take(sites[0].masking, ids[1], r[1], box), CHOIR_ERR_FORGED);
    }
    assert_int_equal(masking_take(sites[0].masking, ids[1], r[1], box_for(2, 0)), CHOIR_ERR_FORGED);
    assert_int_equal(masking_take(sites[0].masking, ids[1], r[1], box_for(1, 2)), CHOIR_ERR_FORGED);
    assert_int_equal(masking_take(sites[0].masking, ids[1], r[0], box_for(1, 0)), CHOIR_ERR_FORGED);
    assert_int_equal(masking_take(sites[0].masking, 99, r[1], box_for(1, 0)), CHOIR_ERR_REFUSED);
    assert_int_equal(masking_take(sites[0].masking, ids[0], r[1], box_for(1, 0)),
                     CHOIR_ERR_REFUSED);
    assert_int_equal(masking_take(sites[0].masking, ids[1], r[1], box_for(1, 0)), CHOIR_OK);
    end();
}

static void weak_and_repeated_keys_are_refused(void **state)
{
    static uint8_t keys[3][CURVE_KEY_BYTES] = {{9, 1}, {9, 2}, {9, 3}};
    struct msg_advertise weak;

    (void)state;
    setting(4, 3, MASK_AES256, 32);
    begin(0);
    begin(1);
    weak = sites[1].advert;
    memset(weak.mask_key, 0, sizeof weak.mask_key);
    assert_int_equal(masking_meet(sites[0].masking, ids[1], &weak), CHOIR_ERR_FORMAT);
    weak = sites[1].advert;
    memset(weak.share_key, 0, sizeof weak.share_key);
    assert_int_equal(masking_meet(sites[0].masking, ids[1], &weak), CHOIR_ERR_FORMAT);
    assert_true(masking_keys_differ(keys, 3));
    keys[0][1] = keys[2][1];
    assert_false(masking_keys_differ(keys, 3));
    end();
}

static void a_site_with_too_few_holders_does_not_share(void **state)
{
    (void)state;
    setting(4, 3, MASK_AES256, 32);
    begin(0);
    begin(1);
    for (size_t j = 0; j < 2; j++)
        assert_int_equal(masking_meet(sites[0].masking, ids[j], &sites[j].advert), CHOIR_OK);
    assert_int_equal(masking_share(sites[0].masking, r[1], &sites[0].shares), CHOIR_ERR_REFUSED);
    end();
}

static void fresh_bytes_or_another_transcript_give_other_keys(void **state)
{
    static const uint8_t fresh[2][MESSAGE_NONCE_BYTES] = {{1}, {2}};
    struct masking_terms terms = {.self = ids[0], .suite = 1, .quorum = 3, .graph = &graph};
    struct msg_advertise made[4];

    (void)state;
    setting(4, 3, MASK_AES256, 32);
    terms.v0 = &v0;
    for (size_t i = 0; i < 4; i++) {
        struct masking *masking = NULL;

        assert_int_equal(masking_new(&terms, r[i == 2], fresh[i == 1], &masking), CHOIR_OK);
        masking_advert(masking, &made[i]);
        masking_free(masking);
    }
    assert_memory_equal(&made[0], &made[3], sizeof made[0]);
    for (size_t i = 1; i < 3; i++) {
        assert_memory_not_equal(made[0].mask_key, made[i].mask_key, CURVE_KEY_BYTES);
        assert_memory_not_equal(made[0].share_key, made[i].share_key, CURVE_KEY_BYTES);
        assert_memory_not_equal(made[0].commitment, made[i].commitment, HASH_BYTES);
    }
    masking_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_cancel_in_every_suite_and_lane_width),
        cmocka_unit_test(the_sum_of_the_survivors_opens_exactly_if_they_are_enough),
        cmocka_unit_test(of_no_site_are_both_shares_revealed),
        cmocka_unit_test(a_box_that_was_changed_or_is_of_another_pair_is_not_taken),
        cmocka_unit_test(weak_and_repeated_keys_are_refused),
        cmocka_unit_test(a_site_with_too_few_holders_does_not_share),
        cmocka_unit_test(fresh_bytes_or_another_transcript_give_other_keys),
    };

    return cmocka_run_group_tests_name("masking", tests, start, NULL);
}
