/* What the aggregator does with masks on: a run of seven sites, c = 2, so T = U_min = 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/maskset.h"
#include "crypto/shamir.h"
#include "fake.h"
#include "round/journal.h"
#include "round/proof.h"
#include "stage.h"

enum { T = 5 };

static struct message decoded;

static void unmask_by(uint32_t first, uint32_t last)
{
    for (uint32_t id = first; id <= last; id++)
        unmasks(id);
}

// The sites are the same as before.
static void join_again(void)
{
    session = 1;
    for (uint32_t id = 1; id <= STAGE_SITES; id++)
        joins(id);
}

// True if this site was suspended, with so many messages as evidence.
static bool suspended(uint32_t id, size_t n_evidence)
{
    static struct journal_record record;

    for (size_t i = 0; i < n_records; i++) {
        assert_int_equal(journal_decode(records[i], record_len[i], &record), CHOIR_OK);
        if (record.kind == JOURNAL_SUSPEND && record.suspend.site == id)
            return n_evidence == (record.suspend.first_len > 0 ? 1U : 0U) +
                                     (record.suspend.second_len > 0 ? 1U : 0U);
    }
    return false;
}

static void the_sum_is_asked_for_when_t_sites_have_revealed(void **state)
{
    size_t prove = effects.n, merge = effects.n;

    (void)state;
    to_unmask();
    unmask_by(1, T - 1);
    assert_null(find(GATHER_DO_MERGE));
    unmasks(T);
    for (size_t i = 0; i < effects.n; i++) {
        prove = effects.item[i].kind == GATHER_DO_PROVE ? i : prove;
        merge = effects.item[i].kind == GATHER_DO_MERGE ? i : merge;
    }
    assert_true(prove < merge); // the proof is durable first
    assert_int_equal(the(GATHER_DO_MERGE)->merge.sites->n, STAGE_SITES);
    assert_non_null(the(GATHER_DO_MERGE)->merge.unmask);
    assert_int_equal(maskset_count(the(GATHER_DO_MERGE)->merge.unmask), STAGE_SITES);
    happens((struct gather_event){.kind = GATHER_MERGED, .round = 1, .hash = {5}});
    assert_memory_not_equal(the(GATHER_DO_CLOSED)->closed.revealed_hash, zeros, HASH_BYTES);
    assert_int_equal(message_decode(MESSAGE_ROUND_CLOSE, the_sent(MESSAGE_ROUND_CLOSE)->send.body,
                                    the_sent(MESSAGE_ROUND_CLOSE)->send.body_len, &decoded),
                     CHOIR_OK);
    assert_memory_equal(decoded.round_close.revealed_hash,
                        the(GATHER_DO_CLOSED)->closed.revealed_hash, HASH_BYTES);
}

static void the_status_says_over_how_many_sites_and_against_how_many(void **state)
{
    (void)state;
    to_masked();
    assert_int_equal(status.suite, 1);
    assert_int_equal(status.collusion, 2);
    assert_int_equal(status.threshold, T);
    assert_int_equal(status.minimum, T);
}

static void a_site_that_dropped_out_is_unmasked_by_its_pair_masks(void **state)
{
    (void)state;
    to_masked();
    for (uint32_t id = 1; id <= 6; id++)
        uploads(id);
    time_passes(DEADLINE_MS);
    for (uint32_t id = 1; id <= T; id++)
        consents(id);
    unmask_by(1, T);
    assert_int_equal(the(GATHER_DO_MERGE)->merge.sites->n, 6);
    assert_int_equal(maskset_count(the(GATHER_DO_MERGE)->merge.unmask), 6 + 6);
}

static void each_site_gets_what_was_sealed_for_it_alone(void **state)
{
    const struct gather_effect *all;
    const uint8_t *body;
    size_t len;

    (void)state;
    to_share();
    for (uint32_t id = 1; id < STAGE_SITES; id++)
        shares(id);
    shares(STAGE_SITES);
    all = the_sent(MESSAGE_SHARES_ALL);
    assert_null(all->send.body);
    for (uint32_t to = 1; to <= STAGE_SITES; to++) {
        assert_int_equal(gather_body(gather, all, to, &body, &len), CHOIR_OK);
        assert_int_equal(message_decode(MESSAGE_SHARES_ALL, body, len, &decoded), CHOIR_OK);
        assert_int_equal(decoded.shares_all.n, STAGE_SITES);
        for (uint32_t from = 1; from <= STAGE_SITES; from++) {
            assert_int_equal(decoded.shares_all.bundle[from - 1].has_cipher, from != to);
            if (from != to)
                assert_memory_equal(decoded.shares_all.bundle[from - 1].cipher,
                                    bundle[from].cipher[to < from ? to - 1 : to - 2].bytes,
                                    MESSAGE_CIPHER_MAX);
        }
    }
    assert_int_equal(gather_body(gather, all, STAGE_SITES + 1, &body, &len), CHOIR_ERR_MISSING);
    shares(3); // it asks again
    all = the_sent(MESSAGE_SHARES_ALL);
    assert_int_equal(all->send.to->n, 1);
    assert_int_equal(gather_body(gather, all, 3, &body, &len), CHOIR_OK);
}

static void who_gets_its_shares_too_late_is_told_nothing(void **state)
{
    (void)state;
    to_consent();
    shares(3);
    assert_null(sent(MESSAGE_SHARES_ALL));
}

static void a_site_that_does_not_know_the_masks_is_not_asked(void **state)
{
    (void)state;
    for (uint32_t id = 1; id <= STAGE_SITES; id++) {
        terms.suites = id == 4 ? 1U << 2 : 1U << 1;
        joins(id);
        accepts(id);
        if (id == 4)
            assert_true(reported("site 4 does not know the masks of this plan (suite 1)"));
    }
    assert_int_equal(status.phase, GATHER_OPEN);
    assert_false(site_set_has(the(GATHER_DO_OPENED)->opened.sites, 4));
    assert_int_equal(the(GATHER_DO_OPENED)->opened.suite, 1);
}

static void fewer_than_c_and_three_sites_are_waited_for(void **state)
{
    (void)state;
    for (uint32_t id = 1; id <= 4; id++) {
        joins(id);
        accepts(id);
    }
    time_passes(DEADLINE_MS);
    for (uint32_t id = 1; id <= 4; id++)
        beats(id, MESSAGE_IDLE);
    assert_int_equal(status.phase, GATHER_WAITING);
    assert_string_equal(status.reason, "waits for 1 more site: need 5, have 4");
}

static void whose_keys_were_advertised_before_is_left_out(void **state)
{
    (void)state;
    to_open();
    advertises(1);
    memcpy(advert[2].share_key, advert[1].mask_key, HASH_BYTES);
    advertises(2);
    assert_true(reported("site 2 advertises a key that site 1 has advertised before"));
    assert_non_null(sent(MESSAGE_ATTEMPT_ABANDONED));
    memset(advert[3].mask_key, 0, HASH_BYTES);
    advertises(3);
    assert_true(reported("site 3 leaves the attempt: its keys cannot be used"));
    for (uint32_t id = 4; id <= STAGE_SITES; id++)
        advertises(id);
    assert_int_equal(status.phase, GATHER_SHARE);
    assert_int_equal(the_sent(MESSAGE_ADVERTS)->send.to->n, 5);
}

static void a_bundle_that_leaves_out_a_neighbour_suspends_its_site(void **state)
{
    (void)state;
    to_share();
    bundle[2].n--;
    shares(2);
    assert_true(suspended(2, 1));
}

static void an_answer_with_the_wrong_secret_suspends_its_site(void **state)
{
    (void)state;
    to_unmask();
    answer[2].share[4].of_mask_key = true;
    unmasks(2);
    assert_true(suspended(2, 1));
    for (uint32_t id = 1; id <= T + 1; id++)
        if (id != 2)
            unmasks(id);
    assert_non_null(find(GATHER_DO_MERGE));
}

static void complains(uint32_t by, uint32_t about)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_REFUSE;
    message.refuse.of = MESSAGE_SHARES_ALL;
    message.refuse.code = MESSAGE_CODE_SHARE;
    message.refuse.about = about;
    arrives(by, r1);
}

static void a_dealer_named_by_more_than_c_sites_is_suspended_and_the_attempt_given_up(void **state)
{
    (void)state;
    to_masked();
    complains(1, 6);
    complains(1, 6); // says it twice, is one
    complains(2, 6);
    assert_int_equal(status.phase, GATHER_MASKED);
    assert_false(suspended(6, 2));
    complains(3, 6);
    assert_true(suspended(6, 2));
    assert_non_null(sent(MESSAGE_ATTEMPT_ABANDONED));
    assert_int_equal(status.attempt, 2);
    assert_false(site_set_has(the(GATHER_DO_OPENED)->opened.sites, 6));
}

static void who_names_more_than_c_dealers_is_suspended_alone(void **state)
{
    (void)state;
    to_masked();
    complains(1, 5);
    complains(1, 6);
    complains(1, 1); // itself: nothing
    assert_false(suspended(1, 2));
    complains(1, 7);
    assert_true(suspended(1, 2));
    assert_int_equal(status.phase, GATHER_MASKED); // the others go on
    for (uint32_t id = 2; id <= STAGE_SITES; id++)
        uploads(id);
    assert_int_equal(status.phase, GATHER_CONSENT);
}

static void complaints_of_sites_that_have_sent_their_header_count_for_nothing(void **state)
{
    (void)state;
    to_masked();
    for (uint32_t id = 1; id <= 4; id++) {
        masked(id, (uint8_t)id);
        complains(id, 6);
    }
    assert_false(suspended(6, 2));
}

static void a_share_that_does_not_fit_is_made_up_for_by_another(void **state)
{
    (void)state;
    to_unmask();
    answer[2].share[3].bytes[5] ^= 1; // of site 4
    unmask_by(1, T);
    assert_null(find(GATHER_DO_MERGE));
    assert_true(reported("the secret of site 4 cannot be restored"));
    assert_int_equal(status.phase, GATHER_UNMASK);
    unmasks(T + 1);
    assert_true(reported("the share that site 2 holds of site 4 does not fit the others"));
    assert_non_null(find(GATHER_DO_MERGE));
}

static void a_round_that_the_shares_do_not_open_is_lost_and_says_so(void **state)
{
    (void)state;
    to_unmask();
    for (uint32_t id = 1; id <= 3; id++)
        answer[id].share[3].bytes[5] ^= 1;
    unmask_by(1, STAGE_SITES);
    assert_null(find(GATHER_DO_PROVE));
    assert_non_null(find(GATHER_DO_LOST));
    assert_true(reported("round 1 is lost: the shares that came do not open the sum"));
    assert_int_equal(status.round, 2);
}

static void a_dealer_of_another_secret_is_suspended_by_name(void **state)
{
    const uint32_t sites[STAGE_SITES] = {1, 2, 3, 4, 5, 6, 7};
    struct shamir_share dealt[STAGE_SITES];
    uint8_t secret[SHAMIR_SCALAR_BYTES];

    (void)state;
    to_unmask();
    shamir_random(secret);
    assert_int_equal(shamir_split(secret, T, sites, STAGE_SITES, dealt), CHOIR_OK);
    for (uint32_t id = 1; id <= STAGE_SITES; id++)
        memcpy(answer[id].share[3].bytes, dealt[id - 1].bytes, SHAMIR_SCALAR_BYTES);
    unmask_by(1, STAGE_SITES);
    assert_true(suspended(4, 0));
    assert_true(reported("site 4 has shared out another secret than it had committed itself to"));
    assert_non_null(find(GATHER_DO_LOST));
}

static void with_too_few_shares_a_revealed_round_is_lost(void **state)
{
    (void)state;
    to_unmask();
    unmask_by(1, T - 1);
    for (int i = 0; i < 5; i++)
        time_passes(DEADLINE_MS);
    assert_null(find(GATHER_DO_PROVE));
    assert_int_equal(status.round, 2);
    assert_int_equal(status.closed, 0);
}

static void after_a_crash_other_answers_give_the_same_proof(void **state)
{
    uint8_t *first;
    size_t len;

    (void)state;
    to_unmask();
    unmask_by(1, T);
    len = the(GATHER_DO_PROVE)->prove.len;
    first = malloc(len);
    assert_non_null(first);
    memcpy(first, the(GATHER_DO_PROVE)->prove.bytes, len);
    starts_again();
    assert_int_equal(status.phase, GATHER_UNMASK);
    join_again();
    unmask_by(STAGE_SITES - T + 1, STAGE_SITES);
    assert_int_equal(the(GATHER_DO_PROVE)->prove.len, len);
    assert_memory_equal(the(GATHER_DO_PROVE)->prove.bytes, first, len);
    assert_int_equal(maskset_count(the(GATHER_DO_MERGE)->merge.unmask), STAGE_SITES);
    free(first);
}

static void after_a_crash_before_the_reveal_the_same_survivors_are_opened(void **state)
{
    (void)state;
    to_consent();
    starts_again();
    assert_int_equal(status.phase, GATHER_CONSENT);
    join_again();
    for (uint32_t id = 1; id <= T; id++)
        consents(id);
    unmask_by(1, T);
    assert_non_null(find(GATHER_DO_PROVE));
    assert_int_equal(the(GATHER_DO_MERGE)->merge.sites->n, STAGE_SITES);
}

static void a_journal_with_changed_adverts_is_not_gone_on_with(void **state)
{
    struct gather_settings settings = {.resend_ms = 500,
                                       .heartbeat_ms = BEAT_MS,
                                       .collusion = 2,
                                       .graph = {.collusion = 2},
                                       .open = fake_open,
                                       .roster = {STAGE_SITES, {1, 2, 3, 4, 5, 6, 7}}};
    struct gather_event event = {.now_ms = now_ms, .fresh = {7}};
    static struct gather_effects ignored;
    struct gather *other = NULL;

    (void)state;
    to_consent();
    // the first advert's commitment: 2 lengths and ids of V2 with their hashes come before it
    assert_int_equal(records[2][1], JOURNAL_SURVIVORS);
    records[2][2 + 12 + 32 + 2 + STAGE_SITES * 36 + 4 + 2 + 2 + FAKE_HEAD + 20] ^= 1;
    assert_int_equal(gather_new(&settings, &other), CHOIR_OK);
    for (size_t i = 0; i < n_records; i++)
        assert_int_equal(gather_replay(other, records[i], record_len[i]), CHOIR_OK);
    assert_int_equal(gather_resume(other, &event, &ignored), CHOIR_ERR_FORMAT);
    gather_free(other);
}

#define MASKED(test) cmocka_unit_test_setup_teardown(test, new_masked_run, end_run)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MASKED(the_sum_is_asked_for_when_t_sites_have_revealed),
        MASKED(the_status_says_over_how_many_sites_and_against_how_many),
        MASKED(a_site_that_dropped_out_is_unmasked_by_its_pair_masks),
        MASKED(each_site_gets_what_was_sealed_for_it_alone),
        MASKED(who_gets_its_shares_too_late_is_told_nothing),
        MASKED(a_site_that_does_not_know_the_masks_is_not_asked),
        MASKED(fewer_than_c_and_three_sites_are_waited_for),
        MASKED(whose_keys_were_advertised_before_is_left_out),
        MASKED(a_bundle_that_leaves_out_a_neighbour_suspends_its_site),
        MASKED(an_answer_with_the_wrong_secret_suspends_its_site),
        MASKED(a_dealer_named_by_more_than_c_sites_is_suspended_and_the_attempt_given_up),
        MASKED(who_names_more_than_c_dealers_is_suspended_alone),
        MASKED(complaints_of_sites_that_have_sent_their_header_count_for_nothing),
        MASKED(a_share_that_does_not_fit_is_made_up_for_by_another),
        MASKED(a_round_that_the_shares_do_not_open_is_lost_and_says_so),
        MASKED(a_dealer_of_another_secret_is_suspended_by_name),
        MASKED(with_too_few_shares_a_revealed_round_is_lost),
        MASKED(after_a_crash_other_answers_give_the_same_proof),
        MASKED(after_a_crash_before_the_reveal_the_same_survivors_are_opened),
        MASKED(a_journal_with_changed_adverts_is_not_gone_on_with),
    };

    return cmocka_run_group_tests_name("gather_masks", tests, NULL, NULL);
}
