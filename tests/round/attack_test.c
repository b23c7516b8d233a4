/* What an aggregator that cheats gets out of honest sites: nothing. Each test plays an attack as
 * far as the sites let it; where there is something to gain, the test works it out from all that
 * was said. tests/mutants takes the checks out one by one, and the attacks succeed. Attacks in more
 * than one attempt: retry_test.c.
 *
 * An altered chunk of a vector meets the Merkle root of the signed header on the bulk link:
 * tests/wire/transfer_test.c, a_changed_chunk_is_not_kept_and_asked_for_again. */
#include "attack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/curve.h"

static struct view view, other;
static struct lanes found, truth;

static void a_whole_round_gives_the_sum_and_nothing_else(void **state)
{
    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_play(&view, cheat_sites(5));
    assert_true(attack_learns(&view, CHEAT_SET(1, 2, 3, 4)));
    for (uint32_t subset = 1; subset < 15; subset++) {
        struct site_set sites = {.n = 0};

        for (uint32_t id = 1; id <= 4; id++)
            if ((subset >> (id - 1) & 1) != 0)
                sites.id[sites.n++] = id;
        assert_false(cheat_learns(&view, &sites, &found));
    }
}

static void the_vector_of_a_site_that_was_declared_lost_stays_hidden(void **state)
{
    struct site_set lost = CHEAT_SET(4);

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view); // the vector of site 4 is here all the same: a late one
    attack_survivors(&view, CHEAT_SET(1, 2, 3, 5), cheat_sites(3));
    attack_consents(&view, CHEAT_SET(1, 2, 3, 5), cheat_sites(3));
    assert_true(attack_learns(&view, CHEAT_SET(1, 2, 3)));
    assert_false(attack_learns(&view, lost));
    assert_true(cheat_without_pairs(&view, 4, &found)); // its pair masks are known now
    truth = cheat_truth(&view, &lost);
    assert_false(cheat_same(&found, &truth)); // and its self mask hides it
}

// The others train on a model that teaches them nothing, so the sum would be the update of one.
static void two_models_in_one_round_give_no_sum(void **state)
{
    struct site_set all = cheat_sites(5);
    struct site_set one = CHEAT_SET(1);
    struct site_set rest = CHEAT_SET(2, 3, 4);

    (void)state;
    attack_propose(&view, 1, 1, all);
    other = view;
    other.open.model_hash[0] = 0xdd;
    cheat_open(&view, &one);
    cheat_open(&other, &rest);
    cheat_adverts(&view, &all, &one);
    cheat_adverts(&other, &all, &rest);
    cheat_shares(&view, &all, &one);
    cheat_shares(&other, &all, &rest);
    attack_survivors(&view, all, one);
    attack_survivors(&other, all, rest);
    attack_consents(&view, all, one);
    attack_consents(&other, all, rest);
    assert_int_equal(attack_said(&view, MESSAGE_UNMASK), 0);
    assert_false(cheat_learns(&view, &(struct site_set){.n = 4, .id = {1, 2, 3, 4}}, &found));
}

static void two_lists_of_keys_in_one_attempt_are_refused(void **state)
{
    struct site_set all = cheat_sites(5);
    struct site_set few = CHEAT_SET(1, 2, 3, 5);

    (void)state;
    attack_propose(&view, 1, 1, all);
    other = view;
    cheat_open(&view, &all);
    memcpy(other.r, view.r, sizeof other.r);
    cheat_adverts(&view, &all, &(struct site_set){.n = 2, .id = {1, 4}});
    cheat_adverts(&other, &few, &(struct site_set){.n = 2, .id = {2, 3}});
    cheat_shares(&view, &all, &(struct site_set){.n = 2, .id = {1, 4}});
    cheat_shares(&other, &few, &(struct site_set){.n = 2, .id = {2, 3}});
    assert_int_not_equal(cheat_refused(1), MESSAGE_CODE_NONE);
    assert_int_not_equal(cheat_refused(2), MESSAGE_CODE_NONE);
    assert_int_equal(attack_said(&view, MESSAGE_MASKED), 0);
}

static void a_second_survivor_set_gets_no_second_consent(void **state)
{
    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    attack_survivors(&view, cheat_sites(5), cheat_sites(4));
    other = view;
    attack_survivors(&other, CHEAT_SET(1, 2, 3, 5), cheat_sites(3));
    for (uint32_t id = 1; id <= 3; id++) {
        assert_int_equal(cheat_refused(id), MESSAGE_CODE_SECOND_CONSENT);
        assert_int_equal(cheat_said(&view, id, MESSAGE_CONSENT), 1);
    }
}

// Half of the sites hear that site 4 is lost, the others that it is not. With one accomplice
// either half comes to three consents of the four that are needed.
static void two_halves_with_two_survivor_sets_reveal_nothing(void **state)
{
    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    attack_survivors(&view, cheat_sites(5), CHEAT_SET(1, 4));
    other = view;
    attack_survivors(&other, CHEAT_SET(1, 2, 3, 5), CHEAT_SET(2, 3));
    attack_consents(&view, CHEAT_SET(1, 4, 5), CHEAT_SET(1, 4));
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_QUORUM);
    attack_consents(&other, CHEAT_SET(2, 3, 5), CHEAT_SET(2, 3));
    assert_int_equal(cheat_refused(2), MESSAGE_CODE_QUORUM);
    assert_int_equal(attack_said(&view, MESSAGE_UNMASK), 0);
}

// With T = 2 each half of two would be a quorum, and site 4 open: b from one, rho from the other.
static void a_threshold_that_two_halves_can_reach_is_refused(void **state)
{
    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    view.open.threshold = 2;
    attack_to_masked(&view);
    attack_survivors(&view, cheat_sites(5), CHEAT_SET(1));
    other = view;
    attack_survivors(&other, CHEAT_SET(1, 2, 3, 5), CHEAT_SET(2, 3));
    attack_consents(&view, CHEAT_SET(1, 5), CHEAT_SET(1));
    attack_consents(&other, CHEAT_SET(2, 3, 5), CHEAT_SET(2, 3));
    assert_int_equal(attack_said(&view, MESSAGE_ADVERTISE), 1); // the accomplice's
    assert_false(attack_learns(&view, CHEAT_SET(4)));
}

// Keys for sites that the roster does not know: with three of them a site would be alone.
static void a_list_with_strangers_is_refused(void **state)
{
    struct site_set mine = CHEAT_SET(1, 9, 10, 11);

    (void)state;
    attack_propose(&view, 1, 1, mine);
    attack_play(&view, mine);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_ADVERTISE), 0);
    assert_false(attack_learns(&view, CHEAT_SET(1)));
}

// Seven sites, two of them accomplices, c = 2. The aggregator asks two of the others and counts c
// as a fifth of those it asked.
static void collusion_is_counted_by_the_roster_and_not_by_the_list(void **state)
{
    struct site_set mine = CHEAT_SET(1, 2, 6, 7);

    (void)state;
    attack_begin(7, 5, 2);
    attack_propose(&view, 1, 1, mine);
    view.open.threshold = 3;
    view.open.minimum = 3;
    attack_to_masked(&view);
    attack_survivors(&view, CHEAT_SET(1, 6, 7), CHEAT_SET(1));
    attack_consents(&view, CHEAT_SET(1, 6, 7), CHEAT_SET(1));
    assert_int_equal(cheat_said(&view, 1, MESSAGE_ADVERTISE), 0);
    assert_false(attack_learns(&view, CHEAT_SET(1)));
}

// With c = 2 two honest sites would be in the sum, and an accomplice who runs one learns the other.
static void a_round_of_fewer_than_three_honest_sites_is_refused(void **state)
{
    struct site_set mine = CHEAT_SET(1, 2, 6, 7);

    (void)state;
    attack_begin(7, 5, 2);
    attack_propose(&view, 1, 1, mine);
    view.open.minimum = view.open.threshold;
    attack_play(&view, mine);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_QUORUM);
    assert_false(attack_learns(&view, CHEAT_SET(1, 2)));
}

// T = 5 sites would open it, U_min is 6 as the sites want it.
static void a_sum_over_too_few_sites_is_not_opened(void **state)
{
    const struct cheat_terms terms = {
        .n = 7, .n_honest = 5, .collusion = 2, .suite = MASK_CHACHA20, .cohort = 6};

    (void)state;
    cheat_begin(&terms);
    attack_propose(&view, 1, 1, cheat_sites(7));
    view.open.minimum = 6;
    attack_to_masked(&view);
    attack_survivors(&view, CHEAT_SET(1, 2, 3, 6, 7), CHEAT_SET(1, 2, 3));
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_QUORUM);
    attack_consents(&view, CHEAT_SET(1, 2, 3, 6, 7), CHEAT_SET(1, 2, 3));
    assert_false(attack_learns(&view, CHEAT_SET(1, 2, 3)));
}

// The aggregator is everybody else.
static void keys_that_their_owner_did_not_sign_are_refused(void **state)
{
    (void)state;
    for (uint32_t id = 2; id <= 4; id++)
        cheat_impersonate(id);
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_play(&view, cheat_sites(5));
    assert_int_equal(cheat_said(&view, 1, MESSAGE_SHARES), 0);
    assert_false(attack_learns(&view, CHEAT_SET(1)));
}

// What a site reveals, it reveals of each site in one kind, and again only in the same words.
static void both_shares_of_a_site_are_never_given(void **state)
{
    struct site_set u = CHEAT_SET(1, 2, 3, 5);
    const struct msg_unmask *unmask;

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    attack_survivors(&view, u, u);
    attack_consents(&view, u, u);
    other = view;
    attack_survivors(&other, cheat_sites(5), cheat_sites(4));
    attack_consents(&other, cheat_sites(5), cheat_sites(4));
    for (uint32_t id = 1; id <= 3; id++) {
        cheat_tick(id); // it says its part again
        assert_int_equal(cheat_said(&view, id, MESSAGE_UNMASK), 2);
        unmask = &cheat_heard(&view, id, MESSAGE_UNMASK)->unmask;
        assert_int_equal(unmask->n, 5);
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(unmask->share[k].of, k + 1);
            assert_int_equal(unmask->share[k].of_mask_key, !site_set_has(&u, (uint32_t)k + 1));
        }
    }
    assert_false(attack_learns(&view, CHEAT_SET(4)));
    assert_false(attack_learns(&view, CHEAT_SET(1)));
}

static void a_list_with_a_site_twice_is_refused(void **state)
{
    struct envelope_list *headers = &cheat_message.survivors.headers;

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    cheat_write_survivors(&view, &(struct site_set){.n = 4, .id = {1, 2, 3, 5}});
    headers->item[1] = headers->item[0];
    cheat_tell(&view, 1, view.r[2]);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_CONSENT), 0);
}

// Fewer sites than U_min would carry the masks of site 1: with two, its masks would be the
// accomplice's and its own.
static void bundles_of_too_few_sites_are_refused(void **state)
{
    struct site_set all = cheat_sites(5);

    (void)state;
    attack_propose(&view, 1, 1, all);
    cheat_open(&view, &all);
    cheat_adverts(&view, &all, &all);
    cheat_shares(&view, &(struct site_set){.n = 2, .id = {1, 5}},
                 &(struct site_set){.n = 1, .id = {1}});
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_QUORUM);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_MASKED), 0);
}

static void bundles_of_a_site_that_sent_no_keys_are_refused(void **state)
{
    struct site_set few = CHEAT_SET(1, 2, 3, 5);

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    cheat_open(&view, &view.open.sites);
    cheat_adverts(&view, &few, &few);
    cheat_write_shares(&view, &few, 1);
    cheat_message.shares_all.bundle[4] = cheat_message.shares_all.bundle[3];
    cheat_message.shares_all.bundle[3].from = 4;
    cheat_message.shares_all.n = 5;
    cheat_tell(&view, 1, view.r[1]);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_MASKED), 0);
}

static void an_altered_header_gets_no_consent(void **state)
{
    size_t len;
    uint8_t *header;

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    header = cheat_envelope(&view, 2, MESSAGE_MASKED, &len);
    header[len - 64 - 1] ^= 1; // the root of another vector
    attack_survivors(&view, cheat_sites(5), cheat_sites(4));
    assert_int_equal(attack_said(&view, MESSAGE_CONSENT), 0);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
}

static void fewer_consents_than_agreed_reveal_nothing(void **state)
{
    struct envelope_list *consents = &cheat_message.consents.consents;

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    attack_survivors(&view, cheat_sites(5), cheat_sites(4));
    attack_consents(&view, CHEAT_SET(1, 2, 5), cheat_sites(4));
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_QUORUM);
    cheat_write_consents(&view, &(struct site_set){.n = 4, .id = {1, 2, 3, 5}});
    consents->item[2] = consents->item[1]; // site 2 twice
    cheat_tell(&view, 1, view.r[3]);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(attack_said(&view, MESSAGE_UNMASK), 0);
}

static void a_round_without_masks_is_refused_where_the_plan_has_them(void **state)
{
    struct site_set all = cheat_sites(5);

    (void)state;
    attack_propose(&view, 1, 1, all);
    view.open.suite = 0;
    attack_to_masked(&view);
    assert_int_not_equal(cheat_refused(1), MESSAGE_CODE_NONE);
    assert_false(attack_learns(&view, CHEAT_SET(1)));
}

static void a_key_that_is_used_twice_is_refused(void **state)
{
    struct site_set all = cheat_sites(5);
    const struct msg_advertise *advert;

    (void)state;
    attack_propose(&view, 1, 1, all);
    cheat_open(&view, &all);
    advert = &cheat_heard(&view, 2, MESSAGE_ADVERTISE)->advertise;
    cheat_use_keys(5, advert->mask_key, NULL);
    cheat_adverts(&view, &all, &all);
    assert_int_equal(attack_said(&view, MESSAGE_SHARES), 0);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
}

static void a_key_of_low_order_is_refused(void **state)
{
    static const uint8_t low[][CURVE_KEY_BYTES] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    };
    struct site_set all = cheat_sites(5);

    (void)state;
    for (uint32_t k = 0; k < 3; k++) {
        cheat_use_keys(5, k == 1 ? NULL : low[k], k == 1 ? low[k] : NULL);
        attack_propose(&view, 1, k + 1, all);
        cheat_open(&view, &all);
        cheat_adverts(&view, &all, &all);
        assert_int_equal(attack_said(&view, MESSAGE_SHARES), 0);
        assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
    }
}

#define TEST(f)       cmocka_unit_test_setup_teardown(f, attack_five, attack_leave)
#define OTHER_TEST(f) cmocka_unit_test_teardown(f, attack_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_round_gives_the_sum_and_nothing_else),
        TEST(the_vector_of_a_site_that_was_declared_lost_stays_hidden),
        TEST(two_models_in_one_round_give_no_sum),
        TEST(two_lists_of_keys_in_one_attempt_are_refused),
        TEST(a_second_survivor_set_gets_no_second_consent),
        TEST(two_halves_with_two_survivor_sets_reveal_nothing),
        TEST(a_threshold_that_two_halves_can_reach_is_refused),
        TEST(a_list_with_strangers_is_refused),
        OTHER_TEST(collusion_is_counted_by_the_roster_and_not_by_the_list),
        OTHER_TEST(a_round_of_fewer_than_three_honest_sites_is_refused),
        OTHER_TEST(a_sum_over_too_few_sites_is_not_opened),
        TEST(keys_that_their_owner_did_not_sign_are_refused),
        TEST(both_shares_of_a_site_are_never_given),
        TEST(a_list_with_a_site_twice_is_refused),
        TEST(bundles_of_too_few_sites_are_refused),
        TEST(bundles_of_a_site_that_sent_no_keys_are_refused),
        TEST(an_altered_header_gets_no_consent),
        TEST(fewer_consents_than_agreed_reveal_nothing),
        TEST(a_round_without_masks_is_refused_where_the_plan_has_them),
        TEST(a_key_that_is_used_twice_is_refused),
        TEST(a_key_of_low_order_is_refused),
    };

    return cmocka_run_group_tests_name("attack", tests, NULL, NULL);
}
