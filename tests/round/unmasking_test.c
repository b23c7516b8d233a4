/* Seven sites share out their secrets (round/masking.h); what comes back, with lies in it. */
#include "round/unmasking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/maskset.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"
#include "round/masking.h"

enum { N = 7, C = 2, T = 5, LANES = 16 };

static const uint8_t r0[HASH_BYTES] = {1}, r1[HASH_BYTES] = {2}, r2[HASH_BYTES] = {3};
static const uint8_t r3[HASH_BYTES] = {4};
static struct site_set all, v2, u;
static struct masking *site[N]; // ids 3, 6, ... 21
static struct msg_advertise advert[N];
static struct msg_shares bundle[N];
static struct msg_unmask answer[N];
static struct maskset *masks[N];
static struct unmasking *unmasking;
static struct unmasking_faults faults;
static size_t failed;

static uint32_t id_of(size_t i)
{
    return (uint32_t)(3 * (i + 1));
}

static struct unmasking *fresh(void)
{
    struct graph_terms terms = {.collusion = C};
    struct unmasking_terms *wanted = calloc(1, sizeof *wanted);
    struct unmasking *made = NULL;

    assert_non_null(wanted);
    wanted->suite = 1;
    wanted->threshold = T;
    wanted->collusion = C;
    wanted->v0 = all;
    memcpy(wanted->r0, r0, HASH_BYTES);
    assert_int_equal(
        graph_make(&terms, (const uint8_t *)"the run, 16 byte", 1, &all, &wanted->graph), CHOIR_OK);
    assert_int_equal(unmasking_new(wanted, &made), CHOIR_OK);
    free(wanted);
    return made;
}

// Everybody advertises and shares.
static int shared(void **state)
{
    struct graph_terms terms = {.collusion = C};
    struct graph graph;
    uint32_t other;

    (void)state;
    all.n = N;
    for (size_t i = 0; i < N; i++)
        all.id[i] = id_of(i);
    u = v2 = all;
    unmasking = fresh();
    assert_int_equal(graph_make(&terms, (const uint8_t *)"the run, 16 byte", 1, &all, &graph),
                     CHOIR_OK);
    for (size_t i = 0; i < N; i++) {
        const struct masking_terms mine = {
            .self = id_of(i), .suite = 1, .quorum = T, .graph = &graph, .v0 = &all};
        uint8_t random[MESSAGE_NONCE_BYTES] = {(uint8_t)(i + 1)};

        assert_int_equal(masking_new(&mine, r0, random, &site[i]), CHOIR_OK);
        masking_advert(site[i], &advert[i]);
        assert_int_equal(unmasking_advert(unmasking, id_of(i), &advert[i], &other), CHOIR_OK);
    }
    unmasking_set_v1(unmasking, &all, r1);
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++)
            assert_int_equal(masking_meet(site[i], id_of(j), &advert[j]), CHOIR_OK);
        assert_int_equal(masking_share(site[i], r1, &bundle[i]), CHOIR_OK);
        assert_true(unmasking_bundle_fits(unmasking, id_of(i), &bundle[i]));
        assert_int_equal(unmasking_bundle(unmasking, id_of(i), &bundle[i]), CHOIR_OK);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        masking_free(site[i]);
        maskset_free(masks[i]);
        masks[i] = NULL;
    }
    unmasking_free(unmasking);
    return 0;
}

// The shares are passed on, masks made, and those of `survive` (bits) are in the sum; everybody of
// them has its answer ready.
static void survive(unsigned which)
{
    u.n = 0;
    for (size_t i = 0; i < N; i++)
        if (which >> i & 1)
            u.id[u.n++] = id_of(i);
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            const uint8_t *box = unmasking_cipher(unmasking, id_of(j), id_of(i));

            assert_int_equal(box == NULL, i == j);
            if (box != NULL)
                assert_int_equal(masking_take(site[i], id_of(j), r1, box), CHOIR_OK);
        }
        assert_int_equal(masking_masks(site[i], &v2, r2, &masks[i]), CHOIR_OK);
        if (which >> i & 1)
            assert_int_equal(masking_reveal(site[i], &v2, &u, &answer[i]), CHOIR_OK);
    }
    assert_int_equal(unmasking_set_survivors(unmasking, &v2, &u, r2), CHOIR_OK);
}

static void answers(size_t i)
{
    assert_true(unmasking_answer_fits(unmasking, id_of(i), &answer[i]));
    unmasking_answer(unmasking, id_of(i), &answer[i]);
}

static void restores(void)
{
    assert_int_equal(unmasking_restore(unmasking, &failed, &faults), CHOIR_OK);
}

static void apply(const struct maskset *set, uint8_t *lanes, size_t len)
{
    struct mask *worker = NULL;

    assert_int_equal(mask_open(1, &worker), CHOIR_OK);
    maskset_apply(set, worker, 0, 32, 0, lanes, len);
    mask_close(worker);
}

// The masks of U, added up, are what `unmask` takes away.
static void check_masks(const struct maskset *unmask)
{
    uint8_t sum[4 * LANES] = {0};

    for (size_t i = 0; i < N; i++)
        if (site_set_has(&u, id_of(i)))
            apply(masks[i], sum, sizeof sum);
    apply(unmask, sum, sizeof sum);
    for (size_t k = 0; k < sizeof sum; k++)
        assert_int_equal(sum[k], 0);
}

static void harvested(void)
{
    static struct revealed revealed[N], wrong[N];
    struct maskset *unmask = NULL, *again = NULL;
    struct unmasking *auditor = fresh();
    uint32_t other;
    size_t n;

    assert_int_equal(unmasking_harvest(unmasking, revealed, &n, &unmask), CHOIR_OK);
    assert_int_equal(n, N);
    check_masks(unmask);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(revealed[i].id, id_of(i));
        assert_int_equal(revealed[i].of_mask_key, !site_set_has(&u, id_of(i)));
        assert_int_equal(unmasking_advert(auditor, id_of(i), &advert[i], &other), CHOIR_OK);
    }
    unmasking_set_v1(auditor, &all, r1);
    assert_int_equal(unmasking_set_survivors(auditor, &v2, &u, r2), CHOIR_OK);
    memcpy(wrong, revealed, sizeof wrong);
    wrong[2].secret[0] ^= 1;
    assert_int_equal(unmasking_recheck(auditor, wrong, N), CHOIR_ERR_FORGED);
    assert_int_equal(unmasking_recheck(auditor, revealed, N - 1), CHOIR_ERR_FORMAT);
    assert_int_equal(unmasking_recheck(auditor, revealed, N), CHOIR_OK);
    assert_int_equal(unmasking_harvest(auditor, wrong, &n, &again), CHOIR_OK);
    check_masks(again);
    unmasking_free(auditor);
    maskset_free(unmask);
    maskset_free(again);
}

static void the_masks_of_every_survivor_set_are_found(void **state)
{
    static const unsigned sets[] = {0x7f, 0x3f, 0x1f, 0x7e, 0x6d, 0x5b, 0x37};

    (void)state;
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
        survive(sets[k]);
        for (size_t i = 0; i < N; i++)
            if (sets[k] >> i & 1)
                answers(i);
        restores();
        assert_int_equal(failed, 0);
        assert_int_equal(faults.n, 0);
        harvested();
        (void)end(NULL);
        (void)shared(NULL);
    }
}

static void fewer_shares_than_the_threshold_restore_nothing(void **state)
{
    static struct revealed revealed[N];
    struct maskset *unmask = NULL;
    size_t n;

    (void)state;
    survive(0x7f);
    for (size_t i = 0; i < T - 1; i++)
        answers(i);
    assert_int_equal(unmasking_short(unmasking), N);
    restores();
    assert_int_equal(failed, N);
    assert_int_equal(unmasking_harvest(unmasking, revealed, &n, &unmask), CHOIR_ERR_MISSING);
    answers(T - 1);
    assert_int_equal(unmasking_short(unmasking), 0);
    restores();
    assert_int_equal(failed, 0);
    harvested();
}

static void a_wrong_share_is_left_out_and_its_holder_named(void **state)
{
    (void)state;
    survive(0x3f); // site 21 dropped
    answer[1].share[6].bytes[3] ^= 1;
    for (size_t i = 0; i < 6; i++)
        answers(i);
    restores();
    assert_int_equal(failed, 0);
    assert_int_equal(faults.n, 1);
    assert_int_equal(faults.item[0].blame, UNMASKING_HOLDER);
    assert_int_equal(faults.item[0].dealer, id_of(6));
    assert_int_equal(faults.item[0].holder, id_of(1));
    harvested();
}

// Else one liar among many would cost a search through the choices of T for every secret.
static void a_holder_that_lied_once_is_not_believed_again(void **state)
{
    (void)state;
    survive(0x7f);
    for (size_t j = 0; j < N; j++)
        answer[1].share[j].bytes[3] ^= 1; // all that it reveals
    for (size_t i = 0; i < T + 1; i++)
        answers(i);
    restores();
    assert_int_equal(failed, 0);
    assert_int_equal(faults.n, 1); // found with the first secret, not used for the others
    assert_int_equal(faults.item[0].holder, id_of(1));
    harvested();
}

static void a_wrong_share_without_one_to_spare_waits_for_another(void **state)
{
    (void)state;
    survive(0x7f);
    answer[0].share[2].bytes[0] ^= 1;
    for (size_t i = 0; i < T; i++)
        answers(i);
    restores();
    assert_int_equal(failed, 1);
    assert_int_equal(faults.item[0].blame, UNMASKING_UNCLEAR);
    assert_int_equal(faults.item[0].dealer, id_of(2));
    restores(); // nothing new
    assert_int_equal(failed, 1);
    assert_int_equal(faults.n, 0);
    answers(5);
    restores();
    assert_int_equal(failed, 0);
    harvested();
}

// Replaces what everybody reveals of site `i` by good shares of another secret.
static void deals_another_secret(size_t i)
{
    uint8_t secret[SHAMIR_SCALAR_BYTES];
    struct shamir_share dealt[N];

    shamir_random(secret);
    assert_int_equal(shamir_split(secret, T, all.id, N, dealt), CHOIR_OK);
    for (size_t j = 0; j < N; j++)
        memcpy(answer[j].share[i].bytes, dealt[j].bytes, SHAMIR_SCALAR_BYTES);
}

static void a_dealer_of_another_secret_than_it_committed_to_is_named(void **state)
{
    (void)state;
    survive(0x7f);
    deals_another_secret(4);
    for (size_t i = 0; i < T + C; i++)
        answers(i);
    restores();
    assert_int_equal(failed, 1);
    assert_int_equal(faults.n, 1);
    assert_int_equal(faults.item[0].blame, UNMASKING_DEALER);
    assert_int_equal(faults.item[0].dealer, id_of(4));
}

// Two holders can bend their shares so that they fit those of T - 1 others.
static void as_many_shares_as_colluding_holders_can_bend_name_no_dealer(void **state)
{
    (void)state;
    survive(0x7f);
    deals_another_secret(4);
    for (size_t i = 0; i < T + C - 1; i++)
        answers(i);
    restores();
    assert_int_equal(failed, 1);
    assert_int_equal(faults.item[0].blame, UNMASKING_UNCLEAR);
}

static void an_answer_with_anything_else_than_is_due_does_not_fit(void **state)
{
    static struct msg_unmask changed;

    (void)state;
    survive(0x3f);
    assert_true(unmasking_answer_fits(unmasking, id_of(0), &answer[0]));
    assert_false(unmasking_answer_fits(unmasking, id_of(6), &answer[0])); // not in U
    assert_false(unmasking_answer_fits(unmasking, 4, &answer[0]));
    changed = answer[0];
    changed.n--;
    assert_false(unmasking_answer_fits(unmasking, id_of(0), &changed));
    changed = answer[0];
    changed.share[6].of_mask_key = false; // the other secret of a site that dropped
    assert_false(unmasking_answer_fits(unmasking, id_of(0), &changed));
    changed = answer[0];
    changed.share[1].of_mask_key = true; // of a survivor
    assert_false(unmasking_answer_fits(unmasking, id_of(0), &changed));
    changed = answer[0];
    memset(changed.share[1].bytes, 0xff, SHAMIR_SCALAR_BYTES);
    assert_false(unmasking_answer_fits(unmasking, id_of(0), &changed));
    changed = answer[0];
    changed.share[1].of++;
    assert_false(unmasking_answer_fits(unmasking, id_of(0), &changed));
}

static void a_bundle_for_others_than_the_neighbours_does_not_fit(void **state)
{
    static struct msg_shares changed;

    (void)state;
    assert_false(unmasking_bundle_fits(unmasking, id_of(1), &bundle[0]));
    changed = bundle[0];
    changed.n--;
    assert_false(unmasking_bundle_fits(unmasking, id_of(0), &changed));
    changed = bundle[0];
    changed.cipher[2].to++;
    assert_false(unmasking_bundle_fits(unmasking, id_of(0), &changed));
}

static void a_key_used_twice_or_of_low_order_is_refused(void **state)
{
    struct unmasking *other = fresh();
    struct msg_advertise changed = advert[1];
    uint32_t twin;

    (void)state;
    assert_int_equal(unmasking_advert(other, id_of(0), &advert[0], &twin), CHOIR_OK);
    memcpy(changed.mask_key, advert[0].mask_key, HASH_BYTES);
    assert_int_equal(unmasking_advert(other, id_of(1), &changed, &twin), CHOIR_ERR_REFUSED);
    assert_int_equal(twin, id_of(0));
    memcpy(changed.mask_key, advert[0].share_key, HASH_BYTES);
    assert_int_equal(unmasking_advert(other, id_of(1), &changed, &twin), CHOIR_ERR_REFUSED);
    assert_int_equal(twin, id_of(0));
    changed = advert[1];
    memcpy(changed.share_key, advert[0].mask_key, HASH_BYTES);
    assert_int_equal(unmasking_advert(other, id_of(1), &changed, &twin), CHOIR_ERR_REFUSED);
    assert_int_equal(twin, id_of(0));
    memcpy(changed.share_key, changed.mask_key, HASH_BYTES);
    assert_int_equal(unmasking_advert(other, id_of(1), &changed, &twin), CHOIR_ERR_REFUSED);
    assert_int_equal(twin, 0);
    changed = advert[1];
    memset(changed.mask_key, 0, HASH_BYTES);
    assert_int_equal(unmasking_advert(other, id_of(1), &changed, &twin), CHOIR_ERR_REFUSED);
    changed = advert[1];
    memset(changed.share_key, 0, HASH_BYTES);
    changed.share_key[0] = 1;
    assert_int_equal(unmasking_advert(other, id_of(1), &changed, &twin), CHOIR_ERR_REFUSED);
    assert_int_equal(unmasking_advert(other, id_of(1), &advert[1], &twin), CHOIR_OK);
    unmasking_free(other);
}

static void who_has_too_few_holders_is_found_before_anything_is_revealed(void **state)
{
    struct site_set few = {.n = T - 1, .id = {3, 6, 9, 12}};
    struct site_set enough = {.n = T, .id = {3, 6, 9, 12, 15}};
    uint32_t who = 0;

    (void)state;
    assert_true(unmasking_reaches(unmasking, &all, &enough, &who));
    assert_false(unmasking_reaches(unmasking, &all, &few, &who));
    assert_int_equal(who, 3);
}

static void the_hash_of_what_was_revealed_is_that_of_the_protocol(void **state)
{
    static const struct revealed two[] = {{.id = 1, .secret = {7}},
                                          {.id = 258, .of_mask_key = true, .secret = {8}}};
    uint8_t bytes[18 + 32 + 2 * 37] = "CHOIR-SA1/revealed", hash[HASH_BYTES], again[HASH_BYTES];

    (void)state;
    memcpy(bytes + 18, r3, HASH_BYTES);
    bytes[50] = 1;
    bytes[55] = 7;
    bytes[87] = 2;
    bytes[88] = 1;
    bytes[91] = 1;
    bytes[92] = 8;
    hash_bytes(hash, bytes, sizeof bytes);
    assert_int_equal(revealed_hash(again, r3, two, 2), CHOIR_OK);
    assert_memory_equal(hash, again, HASH_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_masks_of_every_survivor_set_are_found, shared, end),
        cmocka_unit_test_setup_teardown(fewer_shares_than_the_threshold_restore_nothing, shared,
                                        end),
        cmocka_unit_test_setup_teardown(a_wrong_share_is_left_out_and_its_holder_named, shared,
                                        end),
        cmocka_unit_test_setup_teardown(a_holder_that_lied_once_is_not_believed_again, shared, end),
        cmocka_unit_test_setup_teardown(a_wrong_share_without_one_to_spare_waits_for_another,
                                        shared, end),
        cmocka_unit_test_setup_teardown(a_dealer_of_another_secret_than_it_committed_to_is_named,
                                        shared, end),
        cmocka_unit_test_setup_teardown(as_many_shares_as_colluding_holders_can_bend_name_no_dealer,
                                        shared, end),
        cmocka_unit_test_setup_teardown(an_answer_with_anything_else_than_is_due_does_not_fit,
                                        shared, end),
        cmocka_unit_test_setup_teardown(a_bundle_for_others_than_the_neighbours_does_not_fit,
                                        shared, end),
        cmocka_unit_test_setup_teardown(a_key_used_twice_or_of_low_order_is_refused, shared, end),
        cmocka_unit_test_setup_teardown(
            who_has_too_few_holders_is_found_before_anything_is_revealed, shared, end),
        cmocka_unit_test(the_hash_of_what_was_revealed_is_that_of_the_protocol),
    };

    return cmocka_run_group_tests_name("unmasking", tests, NULL, NULL);
}
