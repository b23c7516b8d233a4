/* What an aggregator that cheats gets by doing something again: a round, an attempt, a message of
 * another one, or the attempt of a site that was started anew. Each test is an attack, played as in
 * attack_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack.h"

static struct view view, other;
static struct lanes found, truth;

// The same in two steps: all train in the first attempt, on two models, and give the integers that
// they have charged in the second, for which all are told the same.
static void two_models_in_two_attempts_of_a_round_give_no_sum(void **state)
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
    attack_propose(&view, 1, 2, all);
    attack_play(&view, all);
    assert_int_equal(cheat_refused(2), MESSAGE_CODE_TRANSCRIPT);
    assert_false(cheat_learns(&view, &(struct site_set){.n = 4, .id = {1, 2, 3, 4}}, &found));
}

// The difference of two sums of one round, over sets that differ by site 4.
static bool difference_shows_site_4(void)
{
    struct site_set four = CHEAT_SET(1, 2, 3, 4);
    struct site_set three = CHEAT_SET(1, 2, 3);
    struct site_set one = CHEAT_SET(4);
    struct lanes first, second;

    if (!cheat_learns(&view, &four, &first) || !cheat_learns(&other, &three, &second))
        return false;
    found = cheat_minus(&first, &second);
    truth = cheat_truth(&view, &one);
    return cheat_same(&found, &truth);
}

static void a_round_that_was_opened_is_not_tried_again(void **state)
{
    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_play(&view, cheat_sites(5));
    attack_propose(&other, 1, 2, cheat_sites(5));
    attack_play(&other, CHEAT_SET(1, 2, 3, 5));
    assert_int_equal(cheat_said(&other, 1, MESSAGE_ADVERTISE), 0);
    assert_false(difference_shows_site_4());
}

static void an_attempt_under_an_old_number_is_refused(void **state)
{
    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    attack_propose(&other, 1, 1, cheat_sites(5)); // another nonce
    cheat_open(&other, &(struct site_set){.n = 1, .id = {1}});
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_STALE);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_ADVERTISE), 1);
}

static void a_round_that_was_rolled_back_is_refused(void **state)
{
    struct view second;
    struct site_set all = cheat_sites(5);

    (void)state;
    attack_propose(&view, 1, 1, all);
    attack_play(&view, all);
    cheat_close(&view, &all);
    attack_propose(&second, 2, 1, all);
    attack_play(&second, all);
    cheat_close(&second, &all);
    attack_propose(&other, 1, 2, all);
    attack_play(&other, CHEAT_SET(1, 2, 3, 5));
    assert_int_equal(cheat_refused(4), MESSAGE_CODE_STALE);
    assert_false(difference_shows_site_4());
}

static void a_header_of_another_attempt_gets_no_consent(void **state)
{
    struct site_set all = cheat_sites(5);
    uint8_t old[MESSAGE_ENVELOPE_MAX];
    size_t len;

    (void)state;
    attack_propose(&view, 1, 1, all);
    attack_to_masked(&view);
    memcpy(old, cheat_envelope(&view, 2, MESSAGE_MASKED, &len), sizeof old);
    attack_propose(&view, 1, 2, all);
    attack_to_masked(&view);
    cheat_write_survivors(&view, &all);
    cheat_message.survivors.headers.item[1].at = old;
    cheat_message.survivors.headers.item[1].len = len;
    cheat_tell(&view, 1, view.r[2]);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_CONSENT), 0);
}

// Site 1 gets the box that site 2 sealed for it an attempt ago.
static void a_share_of_another_attempt_is_refused(void **state)
{
    struct site_set all = cheat_sites(5);
    uint8_t old[MESSAGE_CIPHER_MAX];

    (void)state;
    attack_propose(&view, 1, 1, all);
    cheat_open(&view, &all);
    cheat_adverts(&view, &all, &all);
    cheat_write_shares(&view, &all, 1);
    memcpy(old, cheat_message.shares_all.bundle[1].cipher, sizeof old);
    attack_propose(&view, 1, 2, all);
    cheat_open(&view, &all);
    cheat_adverts(&view, &all, &all);
    cheat_write_shares(&view, &all, 1);
    memcpy(cheat_message.shares_all.bundle[1].cipher, old, sizeof old);
    cheat_tell(&view, 1, view.r[1]);
    assert_int_equal(cheat_refused(1), MESSAGE_CODE_SHARE);
    assert_int_equal(cheat_heard(&view, 1, MESSAGE_REFUSE)->refuse.about, 2);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_MASKED), 0);
}

static void consents_of_another_attempt_reveal_nothing(void **state)
{
    struct site_set all = cheat_sites(5);
    static uint8_t old[2][MESSAGE_ENVELOPE_MAX];
    size_t len[2];

    (void)state;
    attack_propose(&view, 1, 1, all);
    attack_to_masked(&view);
    attack_survivors(&view, all, all);
    for (uint32_t k = 0; k < 2; k++)
        memcpy(old[k], cheat_envelope(&view, k + 3, MESSAGE_CONSENT, &len[k]), sizeof old[k]);
    attack_propose(&view, 1, 2, all);
    attack_to_masked(&view);
    attack_survivors(&view, all, all);
    cheat_write_consents(&view, &(struct site_set){.n = 4, .id = {1, 2, 3, 4}});
    for (size_t k = 0; k < 2; k++) {
        cheat_message.consents.consents.item[k + 2].at = old[k];
        cheat_message.consents.consents.item[k + 2].len = len[k];
    }
    cheat_tell(&view, 1, view.r[3]);
    assert_int_equal(cheat_said(&view, 1, MESSAGE_UNMASK), 0);
}

// Ten sites, one accomplice. Site 4 is in the first attempt, which is opened without it, and would
// be in a second one with other sites: its integers and their noise in two sums.
static void a_retry_with_other_sites_is_refused(void **state)
{
    struct site_set first = CHEAT_SET(1, 2, 3, 4, 10);
    struct site_set again = CHEAT_SET(4, 5, 6, 7, 10);

    (void)state;
    attack_begin(10, 9, 1);
    attack_propose(&view, 1, 1, first);
    attack_to_masked(&view);
    attack_survivors(&view, first, first);
    attack_consents(&view, first, CHEAT_SET(1, 2, 3));
    assert_true(attack_learns(&view, CHEAT_SET(1, 2, 3, 4)));
    attack_propose(&other, 1, 2, again);
    attack_play(&other, again);
    assert_int_equal(cheat_refused(4), MESSAGE_CODE_QUORUM);
    assert_false(attack_learns(&other, CHEAT_SET(4, 5, 6, 7)));
}

// The same when the node of site 4 has been started anew in between.
static void a_retry_with_other_sites_is_refused_after_a_restart(void **state)
{
    struct site_set first = CHEAT_SET(1, 2, 3, 4, 10);
    struct site_set again = CHEAT_SET(4, 5, 6, 7, 10);

    (void)state;
    attack_begin(10, 9, 1);
    attack_propose(&view, 1, 1, first);
    attack_to_masked(&view);
    attack_survivors(&view, first, first);
    attack_consents(&view, first, CHEAT_SET(1, 2, 3));
    cheat_restart(4);
    attack_propose(&other, 1, 2, again);
    attack_play(&other, again);
    assert_int_equal(cheat_refused(4), MESSAGE_CODE_QUORUM);
    assert_false(attack_learns(&other, CHEAT_SET(4, 5, 6, 7)));
}

// A node that was started anew has other secrets, and goes on with the sites it was asked with.
static void a_restarted_site_joins_the_next_attempt_with_other_keys(void **state)
{
    struct site_set all = cheat_sites(5);
    struct msg_advertise before;

    (void)state;
    attack_propose(&view, 1, 1, all);
    attack_to_masked(&view);
    before = cheat_heard(&view, 4, MESSAGE_ADVERTISE)->advertise;
    cheat_restart(4);
    cheat_open(&view, &(struct site_set){.n = 1, .id = {4}}); // the old one again
    assert_int_equal(cheat_said(&view, 4, MESSAGE_ADVERTISE), 1);
    attack_propose(&other, 1, 2, all);
    attack_play(&other, all);
    assert_true(attack_learns(&other, cheat_sites(4)));
    assert_memory_not_equal(cheat_heard(&other, 4, MESSAGE_ADVERTISE)->advertise.mask_key,
                            before.mask_key, sizeof before.mask_key);
}

// Its mark is lost, so it enters the same attempt again: no key is used twice.
static void a_site_restored_from_an_old_copy_has_other_keys_in_the_same_attempt(void **state)
{
    struct msg_advertise before;

    (void)state;
    attack_propose(&view, 1, 1, cheat_sites(5));
    attack_to_masked(&view);
    before = cheat_heard(&view, 4, MESSAGE_ADVERTISE)->advertise;
    cheat_restore(4);
    cheat_open(&view, &(struct site_set){.n = 1, .id = {4}});
    assert_int_equal(cheat_said(&view, 4, MESSAGE_ADVERTISE), 2);
    assert_memory_not_equal(cheat_heard(&view, 4, MESSAGE_ADVERTISE)->advertise.mask_key,
                            before.mask_key, sizeof before.mask_key);
    assert_memory_not_equal(cheat_heard(&view, 4, MESSAGE_ADVERTISE)->advertise.share_key,
                            before.share_key, sizeof before.share_key);
    assert_memory_not_equal(cheat_heard(&view, 4, MESSAGE_ADVERTISE)->advertise.commitment,
                            before.commitment, sizeof before.commitment);
}

static void an_attempt_that_was_left_gets_nothing_more(void **state)
{
    struct site_set all = cheat_sites(5);

    (void)state;
    attack_propose(&view, 1, 1, all);
    attack_to_masked(&view);
    attack_propose(&other, 1, 2, all);
    cheat_open(&other, &all);
    attack_survivors(&view, all, all);
    attack_consents(&view, all, all);
    cheat_tick(1);
    assert_int_equal(attack_said(&view, MESSAGE_CONSENT), 1); // the accomplice's
    assert_int_equal(cheat_said(&view, 1, MESSAGE_UNMASK), 0);
}

#define TEST(f)       cmocka_unit_test_setup_teardown(f, attack_five, attack_leave)
#define OTHER_TEST(f) cmocka_unit_test_teardown(f, attack_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_models_in_two_attempts_of_a_round_give_no_sum),
        TEST(a_round_that_was_opened_is_not_tried_again),
        TEST(an_attempt_under_an_old_number_is_refused),
        TEST(a_round_that_was_rolled_back_is_refused),
        TEST(a_header_of_another_attempt_gets_no_consent),
        TEST(a_share_of_another_attempt_is_refused),
        TEST(consents_of_another_attempt_reveal_nothing),
        OTHER_TEST(a_retry_with_other_sites_is_refused),
        OTHER_TEST(a_retry_with_other_sites_is_refused_after_a_restart),
        TEST(a_restarted_site_joins_the_next_attempt_with_other_keys),
        TEST(a_site_restored_from_an_old_copy_has_other_keys_in_the_same_attempt),
        TEST(an_attempt_that_was_left_gets_nothing_more),
    };

    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
