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
#include "round/transcript.h"

enum { N = 4, RECORDS = 128, DEADLINE_MS = 10000, BEAT_MS = 1000 };

static struct gather *gather;
static struct gather_effects effects;
static struct gather_status status;
static struct gather_run run;
static struct message message; // the next message of a site
static uint64_t now_ms;
static uint8_t *records[RECORDS];
static size_t record_len[RECORDS], n_records;
static const uint8_t zeros[HASH_BYTES];
static uint8_t session = 1; // of the next JOIN
static uint8_t r0[HASH_BYTES], r1[HASH_BYTES], r2[HASH_BYTES], r3[HASH_BYTES];

// The last effect of the kind.
static const struct gather_effect *find(enum gather_effect_kind kind)
{
    const struct gather_effect *found = NULL;

    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == kind)
            found = &effects.item[i];
    return found;
}

static const struct gather_effect *sent(enum message_kind kind)
{
    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == GATHER_DO_SEND && effects.item[i].send.kind == kind)
            return &effects.item[i];
    return NULL;
}

// The same where it must be there.
static const struct gather_effect *the(enum gather_effect_kind kind)
{
    static const struct gather_effect none;
    const struct gather_effect *found = find(kind);

    assert_non_null(found);
    return found == NULL ? &none : found;
}

static const struct gather_effect *the_sent(enum message_kind kind)
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

// The transcript as the sites see it, from what is sent.
static void follow_transcript(void)
{
    if (find(GATHER_DO_OPENED) != NULL)
        memcpy(r0, the(GATHER_DO_OPENED)->opened.r0, HASH_BYTES);
    if (find(GATHER_DO_SURVIVORS) != NULL)
        memcpy(r3, the(GATHER_DO_SURVIVORS)->survivors.r3, HASH_BYTES);
}

static void happens(struct gather_event event)
{
    event.now_ms = now_ms;
    assert_int_equal(gather_step(gather, &event, &effects), CHOIR_OK);
    keep_records();
    follow_transcript();
    gather_status_get(gather, &status);
}

static void arrives(uint32_t from, const uint8_t *transcript)
{
    static uint64_t sequence;
    uint8_t body[1024];
    uint8_t bytes[FAKE_HEAD + 1024];
    struct incoming incoming = {.kind = (uint16_t)message.kind,
                                .round = status.round,
                                .attempt = status.attempt,
                                .sender = from,
                                .body = body};
    size_t len;

    memcpy(incoming.run, run.run, MESSAGE_RUN_BYTES);
    memcpy(incoming.transcript, transcript, HASH_BYTES);
    assert_int_equal(message_encode(&message, body, sizeof body, &incoming.body_len), CHOIR_OK);
    len = fake_seal(&incoming, sequence++, bytes, sizeof bytes);
    assert_int_equal(fake_open(NULL, bytes, len, &incoming), CHOIR_OK);
    // cppcheck-suppress danglingLifetime ; borrowed for the call
    happens((struct gather_event){.kind = GATHER_MESSAGE, .message = &incoming});
}

static void joins(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_JOIN;
    message.join.session[0] = session++;
    arrives(from, zeros);
}

static void accepts(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_PLAN_ANSWER;
    message.plan_answer.accepted = true;
    message.plan_answer.minimum_cohort = 2;
    arrives(from, zeros);
}

static void starts(void)
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
                              .n_sites = N};
    for (uint32_t i = 0; i < N; i++)
        run.site[i] = (struct gather_site){.id = i + 1, .nominal_size = 100};
    happens((struct gather_event){.kind = GATHER_START, .run = &run});
}

static void to_open(void)
{
    for (uint32_t id = 1; id <= N; id++) {
        joins(id);
        accepts(id);
    }
    assert_int_equal(status.phase, GATHER_OPEN);
}

static void advertises(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ADVERTISE;
    arrives(from, r0);
}

static void shares(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_SHARES;
    arrives(from, r1);
}

static void to_masked(void)
{
    static struct said said;
    uint8_t body[128];
    size_t len;

    to_open();
    said.n = N;
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ADVERTISE;
    assert_int_equal(message_encode(&message, body, sizeof body, &len), CHOIR_OK);
    for (uint32_t i = 0; i < N; i++) {
        said.id[i] = i + 1;
        hash_bytes(said.hash[i], body, len);
    }
    assert_int_equal(transcript_next(r1, 1, r0, &said), CHOIR_OK);
    for (uint32_t i = 0; i < N; i++)
        hash_bytes(said.hash[i], zeros, 4); // SHARES of suite 0
    assert_int_equal(transcript_next(r2, 2, r1, &said), CHOIR_OK);
    for (uint32_t id = 1; id <= N; id++)
        advertises(id);
    for (uint32_t id = 1; id <= N; id++)
        shares(id);
    assert_int_equal(status.phase, GATHER_MASKED);
}

static void masked(uint32_t from, uint8_t root)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_MASKED;
    message.masked = (struct msg_masked){
        .site = from, .n_parameters = 10, .lane_bits = 32, .bytes = 44, .root = {root}};
    memcpy(message.masked.r2, r2, HASH_BYTES);
    arrives(from, r2);
}

static void uploads(uint32_t from)
{
    masked(from, (uint8_t)from);
    happens((struct gather_event){.kind = GATHER_UPLOADED, .site = from, .hash = {(uint8_t)from}});
}

static void to_consent(void)
{
    to_masked();
    for (uint32_t id = 1; id <= N; id++)
        uploads(id);
    assert_int_equal(status.phase, GATHER_CONSENT);
}

static void consents(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_CONSENT;
    memcpy(message.consent.r2, r2, HASH_BYTES);
    memcpy(message.consent.r3, r3, HASH_BYTES);
    arrives(from, r3);
}

static void unmasks(uint32_t from)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_UNMASK;
    arrives(from, r3);
}

static void beats(uint32_t from, enum message_activity activity)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_HEARTBEAT;
    message.heartbeat.activity = activity;
    arrives(from, zeros);
}

static void time_passes(uint64_t ms)
{
    now_ms += ms;
    happens((struct gather_event){.kind = GATHER_TICK});
}

static struct gather *fresh_gather(void)
{
    struct gather_settings settings = {.resend_ms = 500,
                                       .heartbeat_ms = BEAT_MS,
                                       .open = fake_open,
                                       .roster = {.n = N, .id = {1, 2, 3, 4}}};
    struct gather *made = NULL;

    assert_int_equal(gather_new(&settings, &made), CHOIR_OK);
    return made;
}

// The aggregator dies and comes back with its journal.
static void starts_again(void)
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

static int new_run(void **state)
{
    (void)state;
    now_ms = 1000;
    session = 1;
    gather = fresh_gather();
    starts();
    return 0;
}

static int end_run(void **state)
{
    (void)state;
    while (n_records > 0)
        free(records[--n_records]);
    gather_free(gather);
    gather = NULL;
    return 0;
}

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
    static struct message answer;

    (void)state;
    beats(3, MESSAGE_IDLE);
    assert_int_equal(message_decode(MESSAGE_REFUSE, the_sent(MESSAGE_REFUSE)->send.body,
                                    the_sent(MESSAGE_REFUSE)->send.body_len, &answer),
                     CHOIR_OK);
    assert_int_equal(answer.refuse.code, MESSAGE_CODE_NOT_JOINED);
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
