/* What a site does and refuses in an attempt with masks. Sites 0..3 of a small party; the one that is
 * looked at is site 0, where nothing else is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/rng.h"
#include "party.h"

enum { N = 4, FIRST = 1, LATER = 0xe };

static const uint32_t ids[N] = {1, 4, 9, 700};
static struct party party;

static int four_sites(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    party = (struct party){
        .suite = 1, .lane_bits = 32, .n_parameters = 10, .threshold = 3, .minimum = 3};
    party_begin(&party, ids, N);
    return 0;
}

static int end(void **state)
{
    (void)state;
    party_end(&party);
    return 0;
}

static void to_shared(void)
{
    party_open(&party);
    party_adverts(&party, PARTY_ALL, PARTY_ALL);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(party.site[i].shares.len, 4 + (N - 1) * (4 + MESSAGE_CIPHER_MAX));
}

static void to_masked(void)
{
    to_shared();
    party_shares_all(&party, PARTY_ALL, PARTY_ALL);
    for (size_t i = 0; i < N; i++)
        assert_true(party.site[i].header.len > 0);
}

static void decoded(enum message_kind kind, const struct party_words *words)
{
    assert_int_equal(message_decode((uint16_t)kind, words->body, words->len, &party.message),
                     CHOIR_OK);
}

static void the_vector_leaves_with_masks_and_its_root_is_in_the_header(void **state)
{
    (void)state;
    to_masked();
    decoded(MESSAGE_MASKED, &party.site[0].header);
    assert_int_equal(party.message.masked.suite, 1);
    assert_int_equal(party.message.masked.bytes, party_bytes(&party));
    assert_memory_not_equal(party.site[0].vector, party.site[0].plain, party_bytes(&party));
    assert_memory_not_equal(party.site[0].vector, party.site[1].vector, party_bytes(&party));
}

static void of_who_survived_the_one_share_of_who_dropped_the_other(void **state)
{
    (void)state;
    to_masked();
    party_survivors(&party, 7, 7);
    party_consents(&party, 7, 7);
    decoded(MESSAGE_UNMASK, &party.site[0].unmask);
    assert_int_equal(party.message.unmask.n, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(party.message.unmask.share[i].of, ids[i]);
        assert_int_equal(party.message.unmask.share[i].of_mask_key, i == 3);
    }
    assert_int_equal(party.site[3].unmask.len, 0);
}

static void shares_are_revealed_once_and_sent_again_unchanged(void **state)
{
    struct party_words first;

    (void)state;
    to_masked();
    party_survivors(&party, PARTY_ALL, FIRST);
    party_survivors(&party, PARTY_ALL, LATER);
    party_consents(&party, PARTY_ALL, FIRST);
    first = party.site[0].unmask;
    assert_true(first.len > 0);
    party.site[0].unmask.len = 0;
    party_happens(&party, 0, (struct site_event){.kind = SITE_LINK_UP}); // says it again
    assert_int_equal(party.site[0].unmask.len, first.len);
    assert_memory_equal(party.site[0].unmask.body, first.body, first.len);
    party.site[0].unmask.len = 0;
    party_consents(&party, 7, FIRST); // asks for others, if it could
    assert_int_equal(party.site[0].unmask.len, 0);
}

static void another_suite_than_the_plans_is_refused(void **state)
{
    (void)state;
    party.suite = 2;
    party_open(&party);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_NOT_APPROVED);
    assert_int_equal(party.site[0].advert.len, 0);
    party.suite = 0; // least of all none
    party_open(&party);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_NOT_APPROVED);
    assert_int_equal(party.site[0].advert.len, 0);
}

// With two that may collude, U_min is 5: four sites are too few with masks, whatever is asked.
static void fewer_sites_than_can_hide_each_other_are_refused(void **state)
{
    (void)state;
    party_end(&party);
    party.collusion = 2;
    party.threshold = party.minimum = 4;
    party_begin(&party, ids, N);
    party_open(&party);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_QUORUM);
    assert_int_equal(party.site[0].advert.len, 0);
}

static void tamper_with_advert(size_t place, size_t at, const uint8_t *bytes)
{
    memcpy(party.site[place].advert.body + at, bytes, CURVE_KEY_BYTES);
}

enum { MASK_KEY_AT = 2, SHARE_KEY_AT = 2 + CURVE_KEY_BYTES };

static void a_key_that_two_sites_use_is_refused(void **state)
{
    (void)state;
    party_open(&party);
    tamper_with_advert(2, MASK_KEY_AT, party.site[3].advert.body + SHARE_KEY_AT);
    party_adverts(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(party.site[0].shares.len, 0);
}

static void a_key_of_low_order_is_refused(void **state)
{
    static const uint8_t one[CURVE_KEY_BYTES] = {1};

    (void)state;
    party_open(&party);
    tamper_with_advert(2, SHARE_KEY_AT, one);
    party_adverts(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(party.site[0].shares.len, 0);
}

static void a_list_that_was_refused_may_be_followed_by_a_right_one(void **state)
{
    struct party_words right;

    (void)state;
    party_open(&party);
    right = party.site[2].advert;
    tamper_with_advert(2, MASK_KEY_AT, party.site[3].advert.body + MASK_KEY_AT);
    party_adverts(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].shares.len, 0);
    party.site[2].advert = right;
    party_adverts(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].shares.len, 4 + (N - 1) * (4 + MESSAGE_CIPHER_MAX));
}

static void an_own_key_that_was_swapped_is_refused(void **state)
{
    (void)state;
    party_open(&party);
    party.site[0].advert.body[MASK_KEY_AT] ^= 1;
    party_adverts(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(party.site[0].shares.len, 0);
}

static void adverts_without_keys_are_refused(void **state)
{
    (void)state;
    party_open(&party);
    memset(party.site[1].advert.body, 0, party.site[1].advert.len); // as of suite 0
    party_adverts(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(party.site[0].shares.len, 0);
}

static void assert_refused_about(uint32_t id)
{
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_SHARE);
    assert_int_equal(party.site[0].header.len, 0);
    decoded(MESSAGE_REFUSE, &party.site[0].refuse);
    assert_int_equal(party.message.refuse.of, MESSAGE_SHARES_ALL);
    assert_int_equal(party.message.refuse.code, MESSAGE_CODE_SHARE);
    assert_int_equal(party.message.refuse.about, id);
}

static void a_share_that_cannot_be_read_is_refused_by_the_name_of_its_dealer(void **state)
{
    (void)state;
    to_shared();
    party_make_shares_all(&party, 0, PARTY_ALL);
    party.message.shares_all.bundle[2].cipher[5] ^= 1;
    party_tells(&party, 0, party.r[1]);
    assert_refused_about(ids[2]);
    party_make_shares_all(&party, 0, PARTY_ALL); // it has left the attempt for good
    party_tells(&party, 0, party.r[1]);
    assert_int_equal(party.site[0].header.len, 0);
}

static void a_share_that_is_missing_is_refused_by_the_name_of_its_dealer(void **state)
{
    (void)state;
    to_shared();
    party_make_shares_all(&party, 0, PARTY_ALL);
    party.message.shares_all.bundle[3].has_cipher = false;
    party_tells(&party, 0, party.r[1]);
    assert_refused_about(ids[3]);
}

static void a_share_for_another_site_is_refused(void **state)
{
    (void)state;
    to_shared();
    party_make_shares_all(&party, 1, PARTY_ALL); // what is for site 1 reaches site 0
    party.message.shares_all.bundle[1] = party.message.shares_all.bundle[0];
    party.message.shares_all.bundle[1].from = ids[1];
    memcpy(party.message.shares_all.bundle[0].bundle_hash,
           party.message.shares_all.bundle[1].bundle_hash, HASH_BYTES);
    party.message.shares_all.bundle[0].has_cipher = false;
    party_tells(&party, 0, party.r[1]);
    assert_refused_about(ids[1]);
}

static void an_own_bundle_that_was_changed_is_refused(void **state)
{
    (void)state;
    to_shared();
    party_make_shares_all(&party, 0, PARTY_ALL);
    party.message.shares_all.bundle[0].bundle_hash[0] ^= 1;
    party_tells(&party, 0, party.r[1]);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_int_equal(party.site[0].header.len, 0);
}

static void who_did_not_share_has_no_mask_with_this_site(void **state)
{
    (void)state;
    to_shared();
    party_shares_all(&party, 7, 7); // site 3 was lost
    party_survivors(&party, 7, 7);
    party_consents(&party, 7, 7);
    decoded(MESSAGE_UNMASK, &party.site[0].unmask);
    assert_int_equal(party.message.unmask.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(party.message.unmask.share[i].of_mask_key);
}

static void survivors_without_this_site_or_too_few_get_no_shares(void **state)
{
    (void)state;
    to_masked();
    party_survivors(&party, LATER, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_EXCLUDED);
    party_survivors(&party, 6, 2); // two of them, this one not
    assert_int_equal(party.site[1].reported, MESSAGE_CODE_QUORUM);
    for (size_t i = 0; i < 2; i++) {
        assert_false(party.site[i].consented);
        assert_int_equal(party.site[i].unmask.len, 0);
    }
}

static void a_header_of_another_suite_is_not_summed(void **state)
{
    (void)state;
    to_masked();
    party.site[2].header.body[0] = 0;
    party_survivors(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_false(party.site[0].consented);
}

static void a_second_survivor_set_gets_no_consent_and_no_shares(void **state)
{
    (void)state;
    to_masked();
    party_survivors(&party, 7, FIRST);
    assert_true(party.site[0].consented);
    party.site[0].consented = false;
    party_survivors(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_SECOND_CONSENT);
    assert_false(party.site[0].consented);
}

static void fewer_consents_than_the_threshold_get_no_shares(void **state)
{
    (void)state;
    to_masked();
    party_survivors(&party, PARTY_ALL, PARTY_ALL);
    party_consents(&party, 3, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_QUORUM);
    assert_false(party.site[0].revealed);
    assert_int_equal(party.site[0].unmask.len, 0);
}

static void consents_to_another_set_get_no_shares(void **state)
{
    (void)state;
    to_masked();
    party_survivors(&party, PARTY_ALL, PARTY_ALL);
    party.site[1].consent.body[HASH_BYTES] ^= 1; // names another R3 in its body
    party_consents(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_TRANSCRIPT);
    assert_false(party.site[0].revealed);
    assert_int_equal(party.site[0].unmask.len, 0);
}

static void a_retry_masks_the_same_update_with_fresh_keys(void **state)
{
    uint8_t before[PARTY_VECTOR_MAX], plain[PARTY_VECTOR_MAX];
    struct party_words advert;

    (void)state;
    to_masked();
    advert = party.site[0].advert;
    memcpy(before, party.site[0].vector, sizeof before);
    memcpy(plain, party.site[0].plain, sizeof plain);
    party.attempt = 2;
    to_masked();
    assert_memory_not_equal(party.site[0].advert.body + MASK_KEY_AT, advert.body + MASK_KEY_AT,
                            (size_t)3 * CURVE_KEY_BYTES);
    assert_memory_not_equal(party.site[0].vector, before, party_bytes(&party));
    assert_memory_equal(party.site[0].plain, plain, sizeof plain);
}

static void masks_that_cannot_be_put_on_end_the_attempt_here(void **state)
{
    (void)state;
    to_shared();
    party.masks_fail = true;
    party_shares_all(&party, PARTY_ALL, FIRST);
    assert_int_equal(party.site[0].reported, MESSAGE_CODE_INTERNAL);
    assert_int_equal(party.site[0].header.len, 0);
    assert_true(party.site[0].left);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, four_sites, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_vector_leaves_with_masks_and_its_root_is_in_the_header),
        TEST(of_who_survived_the_one_share_of_who_dropped_the_other),
        TEST(shares_are_revealed_once_and_sent_again_unchanged),
        TEST(another_suite_than_the_plans_is_refused),
        TEST(fewer_sites_than_can_hide_each_other_are_refused),
        TEST(a_key_that_two_sites_use_is_refused),
        TEST(a_key_of_low_order_is_refused),
        TEST(a_list_that_was_refused_may_be_followed_by_a_right_one),
        TEST(an_own_key_that_was_swapped_is_refused),
        TEST(adverts_without_keys_are_refused),
        TEST(a_share_that_cannot_be_read_is_refused_by_the_name_of_its_dealer),
        TEST(a_share_that_is_missing_is_refused_by_the_name_of_its_dealer),
        TEST(a_share_for_another_site_is_refused),
        TEST(an_own_bundle_that_was_changed_is_refused),
        TEST(who_did_not_share_has_no_mask_with_this_site),
        TEST(survivors_without_this_site_or_too_few_get_no_shares),
        TEST(a_header_of_another_suite_is_not_summed),
        TEST(a_second_survivor_set_gets_no_consent_and_no_shares),
        TEST(fewer_consents_than_the_threshold_get_no_shares),
        TEST(consents_to_another_set_get_no_shares),
        TEST(a_retry_masks_the_same_update_with_fresh_keys),
        TEST(masks_that_cannot_be_put_on_end_the_attempt_here),
    };

    return cmocka_run_group_tests_name("site_masks", tests, NULL, NULL);
}
