/* What one site does and refuses, told to it message by message: site 1 of 1, 2, 3, 4. */
#include "round/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "round/transcript.h"

enum { SELF = 1, N = 4, ENVELOPE_BYTES = 400 };

static struct site *site;
static struct site_effects effects;
static struct message message; // the next message of the aggregator
static uint8_t body[4096];
static uint8_t listed[N][ENVELOPE_BYTES];
static size_t listed_len[N];
static uint8_t r[4][HASH_BYTES];
static struct said said;
static const uint8_t zeros[HASH_BYTES];
static const struct site_plan plan = {.run = "the run",
                                      .accepted = true,
                                      .rounds = 9,
                                      .n_parameters = 10,
                                      .lane_bits = 32,
                                      .min_sites = 2};
static uint64_t round_no;
static uint32_t attempt;

static const struct site_effect *find(enum site_effect_kind kind)
{
    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == kind)
            return &effects.item[i];
    return NULL;
}

static const struct site_effect *sent(enum message_kind kind)
{
    for (size_t i = 0; i < effects.n; i++)
        if (effects.item[i].kind == SITE_DO_SEND && effects.item[i].send.kind == kind)
            return &effects.item[i];
    return NULL;
}

// The same where it must be there.
static const struct site_effect *the(enum site_effect_kind kind)
{
    static const struct site_effect none;
    const struct site_effect *found = find(kind);

    assert_non_null(found);
    return found == NULL ? &none : found;
}

static enum message_code reported(void)
{
    const struct site_effect *effect = find(SITE_DO_REPORT);

    return effect == NULL ? MESSAGE_CODE_NONE : effect->report.code;
}

static void happens(struct site_event event)
{
    event.now_ms = 1000;
    assert_int_equal(site_step(site, &event, &effects), CHOIR_OK);
}

// `message` arrives from the aggregator, answering the transcript hash `transcript`.
static void arrives(const uint8_t *transcript)
{
    struct incoming incoming = {
        .kind = (uint16_t)message.kind, .round = round_no, .attempt = attempt, .body = body};

    memcpy(incoming.run, plan.run, MESSAGE_RUN_BYTES);
    memcpy(incoming.transcript, transcript, HASH_BYTES);
    assert_int_equal(message_encode(&message, body, sizeof body, &incoming.body_len), CHOIR_OK);
    // cppcheck-suppress danglingLifetime ; borrowed for the call
    happens((struct site_event){.kind = SITE_MESSAGE, .message = &incoming});
}

static void setting_open(uint32_t threshold, uint32_t minimum)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ROUND_OPEN;
    memcpy(message.round_open.run, plan.run, MESSAGE_RUN_BYTES);
    message.round_open.round = round_no;
    message.round_open.attempt = attempt;
    message.round_open.n_parameters = 10;
    message.round_open.lane_bits = 32;
    message.round_open.deadline_ms = 1000;
    message.round_open.threshold = threshold;
    message.round_open.minimum = minimum;
    message.round_open.sites = (struct site_set){.n = N, .id = {1, 2, 3, 4}};
}

static void open_arrives(void)
{
    size_t len;

    assert_int_equal(message_encode(&message, body, sizeof body, &len), CHOIR_OK);
    assert_int_equal(transcript_open(r[0], zeros, body, len), CHOIR_OK);
    arrives(zeros);
}

// Site `id` says `message`: keeps its envelope for a list, and its body hash for the transcript.
static void says(uint32_t id, const uint8_t *transcript)
{
    struct incoming incoming = {.kind = (uint16_t)message.kind,
                                .round = round_no,
                                .attempt = attempt,
                                .sender = id,
                                .body = body};

    memcpy(incoming.run, plan.run, MESSAGE_RUN_BYTES);
    memcpy(incoming.transcript, transcript, HASH_BYTES);
    assert_int_equal(message_encode(&message, body, sizeof body, &incoming.body_len), CHOIR_OK);
    said.id[said.n] = id;
    hash_bytes(said.hash[said.n], body, incoming.body_len);
    listed_len[said.n] = fake_seal(&incoming, id, listed[said.n], ENVELOPE_BYTES);
    said.n++;
}

static void list_into(struct envelope_list *list)
{
    list->n = said.n;
    for (size_t i = 0; i < said.n; i++) {
        list->item[i].at = listed[i];
        list->item[i].len = listed_len[i];
    }
}

static void next_link(unsigned step)
{
    assert_int_equal(transcript_next(r[step], step, r[step - 1], &said), CHOIR_OK);
}

static void mark_is_stored(void)
{
    happens((struct site_event){.kind = SITE_MARK_STORED, .round = round_no, .attempt = attempt});
}

static void to_advertised(void)
{
    setting_open(3, 3);
    open_arrives();
    assert_non_null(find(SITE_DO_STORE_MARK));
    mark_is_stored();
    assert_non_null(sent(MESSAGE_ADVERTISE));
}

static void adverts_of(uint32_t first, uint32_t last)
{
    said.n = 0;
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ADVERTISE;
    for (uint32_t id = first; id <= last; id++)
        says(id, r[0]);
    next_link(1);
    message.kind = MESSAGE_ADVERTS;
    list_into(&message.adverts.adverts);
    arrives(r[0]);
}

static void shares_of(uint32_t last)
{
    static const uint8_t shares[4];

    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_SHARES_ALL;
    said.n = 0;
    for (uint32_t id = 1; id <= last; id++) {
        said.id[said.n] = id;
        hash_bytes(said.hash[said.n], shares, sizeof shares);
        message.shares_all.bundle[said.n].from = id;
        memcpy(message.shares_all.bundle[said.n].bundle_hash, said.hash[said.n], HASH_BYTES);
        said.n++;
    }
    message.shares_all.n = said.n;
    next_link(2);
    arrives(r[1]);
}

static void to_masked(void)
{
    to_advertised();
    happens((struct site_event){.kind = SITE_MODEL_READY});
    assert_non_null(find(SITE_DO_TRAIN));
    adverts_of(1, N);
    assert_non_null(sent(MESSAGE_SHARES));
    shares_of(N);
    happens((struct site_event){
        .kind = SITE_UPDATE_READY, .round = round_no, .update = {.bytes = 44, .root = {9}}});
    assert_non_null(sent(MESSAGE_MASKED));
    assert_non_null(find(SITE_DO_UPLOAD));
}

static void survivors(uint32_t first, uint32_t last)
{
    said.n = 0;
    for (uint32_t id = first; id <= last; id++) {
        memset(&message, 0, sizeof message);
        message.kind = MESSAGE_MASKED;
        message.masked = (struct msg_masked){
            .site = id, .n_parameters = 10, .lane_bits = 32, .bytes = 44, .root = {9}};
        memcpy(message.masked.r2, r[2], HASH_BYTES);
        says(id, r[2]);
    }
    next_link(3);
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_SURVIVORS;
    memcpy(message.survivors.r3, r[3], HASH_BYTES);
    list_into(&message.survivors.headers);
}

static void to_consented(void)
{
    struct site_event stored = {.kind = SITE_CONSENT_STORED};

    to_masked();
    survivors(1, N);
    arrives(r[2]);
    assert_non_null(find(SITE_DO_STORE_CONSENT));
    assert_null(sent(MESSAGE_CONSENT)); // not before it is stored
    memcpy(stored.hash, r[2], HASH_BYTES);
    happens(stored);
    assert_non_null(sent(MESSAGE_CONSENT));
}

static void consents(uint32_t n)
{
    said.n = 0;
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_CONSENT;
    memcpy(message.consent.r2, r[2], HASH_BYTES);
    memcpy(message.consent.r3, r[3], HASH_BYTES);
    for (uint32_t id = 1; id <= n; id++)
        says(id, r[3]);
    message.kind = MESSAGE_CONSENTS;
    list_into(&message.consents.consents);
    arrives(r[3]);
}

static void plan_is_offered_and_checked(const struct site_plan *verdict)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_PLAN_OFFER;
    message.plan_offer.plan = (const uint8_t *)"{}";
    message.plan_offer.plan_len = 2;
    arrives(zeros);
    assert_non_null(find(SITE_DO_CHECK_PLAN));
    happens((struct site_event){.kind = SITE_PLAN_CHECKED, .plan = verdict});
    assert_non_null(sent(MESSAGE_PLAN_ANSWER));
}

static int new_site(void **state)
{
    struct site_settings settings = {.id = SELF,
                                     .minimum_cohort = 3,
                                     .resend_ms = 500,
                                     .heartbeat_ms = 1000,
                                     .open = fake_open,
                                     .roster = {.n = N, .id = {1, 2, 3, 4}}};

    (void)state;
    round_no = 2;
    attempt = 1;
    return site_new(&settings, &site) == CHOIR_OK ? 0 : -1;
}

static int site_with_plan(void **state)
{
    if (new_site(state) != 0)
        return -1;
    happens((struct site_event){.kind = SITE_LINK_UP});
    plan_is_offered_and_checked(&plan);
    return 0;
}

static int end_site(void **state)
{
    (void)state;
    site_free(site);
    site = NULL;
    return 0;
}

static void a_round_goes_from_open_to_close(void **state)
{
    (void)state;
    to_consented();
    consents(3);
    assert_true(the(SITE_DO_STORE_MARK)->mark.revealed);
    assert_null(sent(MESSAGE_UNMASK)); // not before that is stored
    mark_is_stored();
    assert_non_null(sent(MESSAGE_UNMASK));
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ROUND_CLOSE;
    message.round_close.participants = (struct site_set){.n = N, .id = {1, 2, 3, 4}};
    arrives(r[3]);
    assert_true(the(SITE_DO_CLOSED)->closed.took_part);
}

static void nothing_is_said_before_the_mark_is_stored(void **state)
{
    (void)state;
    setting_open(3, 3);
    open_arrives();
    assert_null(find(SITE_DO_SEND));
    happens((struct site_event){.kind = SITE_MODEL_READY});
    assert_null(find(SITE_DO_TRAIN));
    mark_is_stored();
    assert_non_null(sent(MESSAGE_ADVERTISE));
    assert_non_null(find(SITE_DO_TRAIN));
}

static void an_attempt_not_above_the_stored_mark_is_refused(void **state)
{
    struct site_plan marked = plan;

    (void)state;
    marked.mark = (struct mark){
        .round = 2, .attempt = 3, .threshold = 3, .minimum = 3, .asked = {0x1e}}; // 1 to 4
    happens((struct site_event){.kind = SITE_LINK_UP});
    plan_is_offered_and_checked(&marked);
    attempt = 3;
    setting_open(3, 3);
    open_arrives();
    assert_null(find(SITE_DO_STORE_MARK));
    assert_int_equal(reported(), MESSAGE_CODE_STALE);
    attempt = 4;
    setting_open(3, 3);
    open_arrives();
    assert_non_null(find(SITE_DO_STORE_MARK));
}

static void a_round_that_was_revealed_is_not_tried_again(void **state)
{
    struct site_plan marked = plan;

    (void)state;
    marked.mark =
        (struct mark){.round = 2, .attempt = 3, .threshold = 3, .minimum = 3, .revealed = true};
    happens((struct site_event){.kind = SITE_LINK_UP});
    plan_is_offered_and_checked(&marked);
    attempt = 4;
    setting_open(3, 3);
    open_arrives();
    assert_null(find(SITE_DO_STORE_MARK));
    assert_int_equal(reported(), MESSAGE_CODE_LOST);
}

static void a_quorum_below_the_bound_is_refused(void **state)
{
    (void)state;
    setting_open(2, 3);
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
    assert_null(find(SITE_DO_STORE_MARK));
}

static void a_minimum_below_the_sites_own_cohort_is_refused(void **state)
{
    (void)state;
    setting_open(2, 2);
    message.round_open.sites.n = 2;
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
}

static void a_threshold_that_changes_within_a_round_is_refused(void **state)
{
    (void)state;
    to_advertised();
    attempt = 2;
    setting_open(4, 4);
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
}

static void sites_that_come_back_into_a_retry_are_refused(void **state)
{
    (void)state;
    setting_open(3, 3);
    message.round_open.sites.n = 3;
    open_arrives();
    mark_is_stored();
    attempt = 2;
    setting_open(3, 3); // site 4 was not in attempt 1
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
}

static void a_plan_that_was_not_approved_is_not_trained(void **state)
{
    struct site_plan refused = plan;

    (void)state;
    refused.accepted = false;
    refused.code = MESSAGE_CODE_NOT_APPROVED;
    happens((struct site_event){.kind = SITE_LINK_UP});
    plan_is_offered_and_checked(&refused);
    setting_open(3, 3);
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_NOT_APPROVED);
    assert_null(find(SITE_DO_STORE_MARK));
}

static void another_plan_hash_is_refused(void **state)
{
    (void)state;
    setting_open(3, 3);
    message.round_open.plan_hash[0] = 1;
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_NOT_APPROVED);
}

static void a_log_that_shrinks_is_refused(void **state)
{
    (void)state;
    setting_open(3, 3);
    message.round_open.log.size = 10;
    open_arrives();
    attempt = 2;
    setting_open(3, 3);
    message.round_open.log.size = 9;
    open_arrives();
    assert_int_equal(reported(), MESSAGE_CODE_TRANSCRIPT);
}

static void adverts_without_the_site_are_refused(void **state)
{
    (void)state;
    to_advertised();
    adverts_of(2, N);
    assert_int_equal(reported(), MESSAGE_CODE_EXCLUDED);
    assert_null(sent(MESSAGE_SHARES));
}

static void adverts_of_too_few_sites_are_refused(void **state)
{
    (void)state;
    to_advertised();
    adverts_of(1, 2);
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
}

static void survivors_without_the_site_get_no_consent(void **state)
{
    (void)state;
    to_masked();
    survivors(2, N);
    arrives(r[2]);
    assert_int_equal(reported(), MESSAGE_CODE_EXCLUDED);
    assert_null(find(SITE_DO_STORE_CONSENT));
}

static void too_few_survivors_get_no_consent(void **state)
{
    (void)state;
    to_masked();
    survivors(1, 2);
    arrives(r[2]);
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
    assert_null(find(SITE_DO_STORE_CONSENT));
}

static void survivors_whose_hash_is_wrong_get_no_consent(void **state)
{
    (void)state;
    to_masked();
    survivors(1, N);
    message.survivors.r3[0] ^= 1;
    arrives(r[2]);
    assert_int_equal(reported(), MESSAGE_CODE_TRANSCRIPT);
    assert_null(find(SITE_DO_STORE_CONSENT));
}

static void a_second_survivor_set_gets_no_consent(void **state)
{
    (void)state;
    to_consented();
    survivors(1, 3);
    arrives(r[2]);
    assert_int_equal(reported(), MESSAGE_CODE_SECOND_CONSENT);
    assert_null(find(SITE_DO_STORE_CONSENT));
    assert_null(sent(MESSAGE_CONSENT));
}

static void fewer_consents_than_the_threshold_reveal_nothing(void **state)
{
    (void)state;
    to_consented();
    consents(2);
    assert_int_equal(reported(), MESSAGE_CODE_QUORUM);
    assert_null(find(SITE_DO_STORE_MARK));
}

static void a_repeated_message_gets_the_same_answer(void **state)
{
    (void)state;
    to_advertised();
    setting_open(3, 3);
    open_arrives();
    assert_non_null(sent(MESSAGE_ADVERTISE));
    assert_null(find(SITE_DO_STORE_MARK));
}

static void a_retry_sends_the_charged_update_without_training_again(void **state)
{
    (void)state;
    to_masked();
    attempt = 2;
    to_advertised();
    assert_null(find(SITE_DO_TRAIN));
    adverts_of(1, N);
    shares_of(N);
    assert_non_null(sent(MESSAGE_MASKED));
    assert_int_equal(the(SITE_DO_UPLOAD)->upload.update.root[0], 9);
}

static void a_model_that_is_gone_when_training_begins_is_fetched_again(void **state)
{
    struct site_event later = {.kind = SITE_TICK, .now_ms = 5000};

    (void)state;
    to_advertised();
    happens((struct site_event){.kind = SITE_MODEL_READY});
    assert_non_null(find(SITE_DO_TRAIN));
    happens((struct site_event){.kind = SITE_MODEL_FAILED});
    assert_int_equal(site_step(site, &later, &effects), CHOIR_OK);
    assert_non_null(find(SITE_DO_FETCH_MODEL));
    happens((struct site_event){.kind = SITE_MODEL_READY});
    assert_non_null(find(SITE_DO_TRAIN));
}

static void messages_of_another_attempt_or_transcript_are_ignored(void **state)
{
    (void)state;
    to_masked();
    survivors(1, N);
    attempt = 2;
    arrives(r[2]);
    assert_int_equal(effects.n, 0);
    attempt = 1;
    arrives(r[1]);
    assert_int_equal(effects.n, 0);
}

#define TEST(f)       cmocka_unit_test_setup_teardown(f, site_with_plan, end_site)
#define FRESH_TEST(f) cmocka_unit_test_setup_teardown(f, new_site, end_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_round_goes_from_open_to_close),
        TEST(nothing_is_said_before_the_mark_is_stored),
        FRESH_TEST(an_attempt_not_above_the_stored_mark_is_refused),
        FRESH_TEST(a_round_that_was_revealed_is_not_tried_again),
        TEST(a_quorum_below_the_bound_is_refused),
        TEST(a_minimum_below_the_sites_own_cohort_is_refused),
        TEST(a_threshold_that_changes_within_a_round_is_refused),
        TEST(sites_that_come_back_into_a_retry_are_refused),
        FRESH_TEST(a_plan_that_was_not_approved_is_not_trained),
        TEST(another_plan_hash_is_refused),
        TEST(a_log_that_shrinks_is_refused),
        TEST(adverts_without_the_site_are_refused),
        TEST(adverts_of_too_few_sites_are_refused),
        TEST(survivors_without_the_site_get_no_consent),
        TEST(too_few_survivors_get_no_consent),
        TEST(survivors_whose_hash_is_wrong_get_no_consent),
        TEST(a_second_survivor_set_gets_no_consent),
        TEST(fewer_consents_than_the_threshold_reveal_nothing),
        TEST(a_repeated_message_gets_the_same_answer),
        TEST(a_retry_sends_the_charged_update_without_training_again),
        TEST(a_model_that_is_gone_when_training_begins_is_fetched_again),
        TEST(messages_of_another_attempt_or_transcript_are_ignored),
    };

    return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
