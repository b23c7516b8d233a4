/* What the aggregator does with single messages: a run of sites 1, 2, 3, 4, two rounds. */
#include "round/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "round/journal.h"
#include "stage.h"

static void a_round_closes_as_soon_as_everybody_has_answered(void **state)
{
    (void)state;
    to_consent();
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    assert_int_equal(status.phase, GATHER_UNMASK);
    for (uint32_t id = 1; id <= 3; id++)
        unmasks(id);
    assert_int_equal(the(GATHER_DO_MERGE)->merge.sites->n, N);
    happens((struct gather_event){.kind = GATHER_MERGED, .round = 1, .hash = {5}});
    assert_int_equal(the(GATHER_DO_CLOSED)->closed.missing_ppm, 0);
    assert_non_null(sent(MESSAGE_ROUND_CLOSE));
    assert_int_equal(status.round, 2);
    assert_int_equal(status.phase, GATHER_OPEN); // no deadline was waited for
}

static void too_few_sites_give_a_reason_to_wait(void **state)
{
    (void)state;
    joins(1);
    accepts(1);
    joins(2);
    accepts(2);
    time_passes(DEADLINE_MS);
    time_passes(DEADLINE_MS);
    beats(1, MESSAGE_IDLE);
    beats(2, MESSAGE_IDLE);
    assert_int_equal(status.phase, GATHER_WAITING);
    assert_string_equal(status.reason, "waits for 1 more site: need 3, have 2");
}

static void a_round_goes_on_without_a_site_that_stays_silent_and_says_so(void **state)
{
    (void)state;
    to_masked();
    for (uint32_t id = 1; id <= 3; id++)
        uploads(id);
    assert_int_equal(status.phase, GATHER_MASKED);
    time_passes(DEADLINE_MS);
    assert_int_equal(status.phase, GATHER_CONSENT);
    assert_string_equal(the(GATHER_DO_REPORT)->report.text, "round 1 goes on without site 4");
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    for (uint32_t id = 1; id <= 3; id++)
        unmasks(id);
    happens((struct gather_event){.kind = GATHER_MERGED, .round = 1});
    assert_int_equal(the(GATHER_DO_CLOSED)->closed.missing_ppm, 250000);
}

static void a_missing_share_is_never_rounded_to_none(void **state)
{
    (void)state;
    happens((struct gather_event){.kind = GATHER_STOP});
    for (size_t i = 0; i < 3; i++)
        run.site[i].nominal_size = 10000000;
    run.site[3].nominal_size = 1;
    happens((struct gather_event){.kind = GATHER_START, .run = &run});
    to_masked();
    for (uint32_t id = 1; id <= 3; id++)
        uploads(id);
    time_passes(DEADLINE_MS);
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    for (uint32_t id = 1; id <= 3; id++)
        unmasks(id);
    happens((struct gather_event){.kind = GATHER_MERGED, .round = 1});
    assert_int_equal(find(GATHER_DO_CLOSED)->closed.missing_ppm, 1);
}

static void a_deadline_waits_for_a_site_that_is_working(void **state)
{
    (void)state;
    to_masked();
    for (uint32_t id = 1; id <= 3; id++)
        uploads(id);
    now_ms += DEADLINE_MS - 1;
    beats(4, MESSAGE_TRAINING);
    time_passes(1);
    assert_int_equal(status.phase, GATHER_MASKED);
    uploads(4);
    assert_int_equal(the(GATHER_DO_SURVIVORS)->survivors.sites->n, N);
}

static void a_repeated_message_gets_the_stored_answer(void **state)
{
    (void)state;
    to_masked();
    advertises(2);
    assert_int_equal(the_sent(MESSAGE_ADVERTS)->send.to->id[0], 2);
    shares(3);
    assert_non_null(sent(MESSAGE_SHARES_ALL));
    assert_null(find(GATHER_DO_JOURNAL));
}

static void two_different_messages_suspend_the_site_with_both_as_evidence(void **state)
{
    static struct journal_record record;
    size_t last;

    (void)state;
    to_masked();
    masked(2, 1);
    masked(2, 9);
    last = n_records - 1;
    assert_int_equal(journal_decode(records[last], record_len[last], &record), CHOIR_OK);
    assert_int_equal(record.kind, JOURNAL_SUSPEND);
    assert_int_equal(record.suspend.site, 2);
    assert_true(record.suspend.first_len > 0 && record.suspend.second_len > 0);
    assert_int_equal(status.site[1].standing, GATHER_SUSPENDED);
    uploads(2);
    assert_false(status.site[1].uploaded);
}

static void a_site_that_starts_again_drops_out_and_joins_the_next_attempt(void **state)
{
    (void)state;
    to_masked();
    joins(4);
    accepts(4);
    assert_int_equal(status.site[3].standing, GATHER_DROPPED);
    for (uint32_t id = 1; id <= 3; id++)
        uploads(id);
    assert_int_equal(status.phase, GATHER_CONSENT); // without waiting for site 4
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    for (uint32_t id = 1; id <= 3; id++)
        unmasks(id);
    happens((struct gather_event){.kind = GATHER_MERGED, .round = 1});
    assert_int_equal(the(GATHER_DO_OPENED)->opened.sites->n, N);
}

static void too_many_dropouts_abandon_the_attempt_and_the_round_is_tried_again(void **state)
{
    (void)state;
    to_masked();
    joins(3);
    joins(4);
    assert_int_equal(status.phase, GATHER_WAITING);
    assert_non_null(sent(MESSAGE_ATTEMPT_ABANDONED));
    accepts(3);
    accepts(4);
    time_passes(600);
    assert_int_equal(status.round, 1);
    assert_int_equal(status.attempt, 2);
    assert_int_equal(status.threshold, 3);
}

static void a_site_that_refuses_for_its_budget_is_not_asked_again(void **state)
{
    (void)state;
    to_masked();
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_REFUSE;
    message.refuse.of = MESSAGE_ROUND_OPEN;
    message.refuse.code = MESSAGE_CODE_BUDGET;
    arrives(2, zeros);
    assert_int_equal(status.site[1].standing, GATHER_REFUSED);
    assert_int_equal(status.site[1].code, MESSAGE_CODE_BUDGET);
}

static void survivors_that_were_journaled_are_announced_again_after_a_crash(void **state)
{
    uint8_t before[HASH_BYTES];

    (void)state;
    to_consent();
    memcpy(before, r3, HASH_BYTES);
    starts_again();
    assert_int_equal(status.phase, GATHER_CONSENT);
    assert_memory_equal(the(GATHER_DO_SURVIVORS)->survivors.r3, before, HASH_BYTES);
    session = 1; // the sites are the same ones
    for (uint32_t id = 1; id <= N; id++)
        joins(id);
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    for (uint32_t id = 1; id <= 3; id++)
        unmasks(id);
    assert_int_equal(the(GATHER_DO_MERGE)->merge.sites->n, N);
    assert_int_equal(the(GATHER_DO_MERGE)->merge.roots[3][0], 4);
}

static void an_attempt_without_survivors_is_abandoned_after_a_crash(void **state)
{
    (void)state;
    to_masked();
    uploads(1);
    starts_again();
    assert_int_equal(status.phase, GATHER_WAITING);
    assert_int_equal(status.round, 1);
    for (uint32_t id = 1; id <= N; id++) {
        joins(id);
        accepts(id);
    }
    assert_int_equal(status.attempt, 2);
}

static void after_consents_left_a_round_is_never_tried_again(void **state)
{
    (void)state;
    to_consent();
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    assert_int_equal(status.phase, GATHER_UNMASK);
    joins(1);
    joins(2);
    assert_non_null(find(GATHER_DO_LOST));
    assert_int_equal(status.round, 2);
    assert_int_equal(status.attempt, 0);
}

static void an_old_session_that_joins_again_changes_nothing(void **state)
{
    (void)state;
    to_open();
    session = 1; // that of site 1
    joins(1);
    assert_int_equal(status.site[0].standing, GATHER_WORKING);
    session = 40;
    joins(1);
    assert_int_equal(status.site[0].standing, GATHER_DROPPED);
    session = 1;
    joins(1);
    assert_int_equal(the(GATHER_DO_REPORT)->report.code, MESSAGE_CODE_EQUIVOCATION);
}

static void a_message_before_join_is_refused(void **state)
{
    static struct message said;

    (void)state;
    beats(3, MESSAGE_IDLE);
    assert_int_equal(message_decode(MESSAGE_REFUSE, the_sent(MESSAGE_REFUSE)->send.body,
                                    the_sent(MESSAGE_REFUSE)->send.body_len, &said),
                     CHOIR_OK);
    assert_int_equal(said.refuse.code, MESSAGE_CODE_NOT_JOINED);
}

static void a_late_vector_is_never_added(void **state)
{
    (void)state;
    to_masked();
    for (uint32_t id = 1; id <= 3; id++)
        uploads(id);
    time_passes(DEADLINE_MS);
    assert_int_equal(status.phase, GATHER_CONSENT);
    masked(4, 4);
    assert_null(find(GATHER_DO_EXPECT_UPLOAD));
    assert_non_null(sent(MESSAGE_ATTEMPT_ABANDONED));
}

// A run of one round up to the end of that round.
static void to_the_end(void)
{
    happens((struct gather_event){.kind = GATHER_STOP});
    run.rounds = 1;
    happens((struct gather_event){.kind = GATHER_START, .run = &run});
    to_consent();
    for (uint32_t id = 1; id <= N; id++)
        consents(id);
    for (uint32_t id = 1; id <= N; id++)
        unmasks(id);
    happens((struct gather_event){.kind = GATHER_MERGED, .round = 1, .hash = {9}});
    assert_int_equal(status.phase, GATHER_IDLE);
}

// Both are written in one step, one after the other.
static void a_crash_between_the_last_round_s_end_and_the_run_s_ends_the_run(void **state)
{
    (void)state;
    to_the_end();
    free(records[--n_records]); // the RUN_END never came to the disk
    starts_again();
    assert_int_equal(status.phase, GATHER_IDLE);
    assert_int_equal(the(GATHER_DO_CLOSED)->closed.round, 1);
    assert_int_equal(the(GATHER_DO_RUN_END)->ended.code, MESSAGE_CODE_FINISHED);
    assert_int_equal(the(GATHER_DO_RUN_END)->ended.rounds, 1);
    assert_int_equal(the(GATHER_DO_RUN_END)->ended.model_hash[0], 9);
    starts_again(); // and now it did
    assert_int_equal(status.phase, GATHER_IDLE);
    assert_int_equal(the(GATHER_DO_RUN_END)->ended.rounds, 1);
}

static void a_journal_of_many_runs_is_taken_back(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        happens((struct gather_event){.kind = GATHER_STOP});
        happens((struct gather_event){.kind = GATHER_START, .run = &run});
    }
    starts_again();
    assert_int_equal(status.phase, GATHER_WAITING);
    assert_int_equal(status.round, 1);
}

static void a_merge_that_fails_ends_the_run(void **state)
{
    (void)state;
    to_consent();
    for (uint32_t id = 1; id <= 3; id++)
        consents(id);
    for (uint32_t id = 1; id <= 3; id++)
        unmasks(id);
    happens((struct gather_event){
        .kind = GATHER_MERGE_FAILED, .round = 1, .text = "the constant lane is 5, not 4"});
    assert_int_equal(the(GATHER_DO_RUN_END)->ended.code, MESSAGE_CODE_INTERNAL);
    assert_int_equal(status.phase, GATHER_IDLE);
}

// One vector that does not count itself once would spoil the sum of all.
static void a_vector_that_cannot_be_added_costs_only_its_own_site(void **state)
{
    (void)state;
    to_masked();
    uploads(1);
    masked(2, 2);
    happens((struct gather_event){.kind = GATHER_UPLOAD_FORGED, .site = 2, .hash = {7}});
    assert_int_not_equal(status.site[1].standing, GATHER_SUSPENDED); // not the one it signed
    happens((struct gather_event){.kind = GATHER_UPLOAD_FORGED, .site = 2, .hash = {2}});
    assert_int_equal(status.site[1].standing, GATHER_SUSPENDED);
    happens((struct gather_event){.kind = GATHER_UPLOADED, .site = 2, .hash = {2}});
    uploads(3);
    uploads(4);
    assert_int_equal(status.phase, GATHER_CONSENT);
    consents(1);
    consents(3);
    consents(4);
    assert_int_equal(status.phase, GATHER_UNMASK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, new_run, end_run)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_round_closes_as_soon_as_everybody_has_answered),
        TEST(too_few_sites_give_a_reason_to_wait),
        TEST(a_round_goes_on_without_a_site_that_stays_silent_and_says_so),
        TEST(a_missing_share_is_never_rounded_to_none),
        TEST(a_deadline_waits_for_a_site_that_is_working),
        TEST(a_repeated_message_gets_the_stored_answer),
        TEST(two_different_messages_suspend_the_site_with_both_as_evidence),
        TEST(a_site_that_starts_again_drops_out_and_joins_the_next_attempt),
        TEST(too_many_dropouts_abandon_the_attempt_and_the_round_is_tried_again),
        TEST(a_site_that_refuses_for_its_budget_is_not_asked_again),
        TEST(survivors_that_were_journaled_are_announced_again_after_a_crash),
        TEST(an_attempt_without_survivors_is_abandoned_after_a_crash),
        TEST(after_consents_left_a_round_is_never_tried_again),
        TEST(an_old_session_that_joins_again_changes_nothing),
        TEST(a_message_before_join_is_refused),
        TEST(a_late_vector_is_never_added),
        TEST(a_crash_between_the_last_round_s_end_and_the_run_s_ends_the_run),
        TEST(a_journal_of_many_runs_is_taken_back),
        TEST(a_merge_that_fails_ends_the_run),
        TEST(a_vector_that_cannot_be_added_costs_only_its_own_site),
    };

    return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
