#include "node/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/hex.h"
#include "node/channel.h"
#include "node/membership.h"
#include "ops/log.h"
#include "tests/node/site.h"
#include "train/snapshot.h"
#include "wire/planseal.h"

enum { PARAMETERS = 3, PLAN_TEXT = 4096, LOG_TEXT_SIZE = 8192 };

static const uint8_t run[MESSAGE_RUN_BYTES] = {7};

/* What the tests vary in the plan. */
struct study_terms {
    double noise;
    unsigned rounds, min_sites;
    const char *site, *mechanism;
};

static const struct study_terms usual = {3.0, 5, 3, "west", "dp-sgd"};

static struct {
    struct tested tested;
    struct membership member;
    struct home home;
    struct ledger *ledger;
    struct vault *vault;
    int data, log;
    char plan[PLAN_TEXT];
    uint8_t plan_hash[HASH_BYTES], model_hash[HASH_BYTES];
    struct hatch_answer answer;
} site;

static void write_data(const char *bad_line)
{
    char path[2 * SAMPLE_PATH], text[4096] = "amount,term,Class\n";

    for (int i = 0; i < SITE_ROWS; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%d,%s,%s\n", 10 * i,
                       i % 2 == 0 ? "a" : "b", i % 3 == 0 ? "bad" : "good");
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s", bad_line);
    sample_write(site.tested.folder, "data.csv", text);
    (void)snprintf(path, sizeof path, "%s/data.csv", site.tested.folder);
    if (site.data >= 0)
        close(site.data);
    site.data = open(path, O_RDONLY);
    assert_true(site.data >= 0);
}

static void make_vault(const char *policy)
{
    uint8_t key[SIGN_PUBLIC_BYTES];
    char state[2 * SAMPLE_PATH];
    struct vault_parts parts;

    tested_begin(&site.tested, policy);
    (void)snprintf(state, sizeof state, "%s/state", site.tested.folder);
    assert_int_equal(home_make(state), CHOIR_OK);
    assert_int_equal(ledger_create(state, "loans", NULL, KEYFILE_COST_MIN, key), CHOIR_OK);
    tested_roster(&site.tested, "west", now_unix(), key);
    assert_int_equal(membership_load(site.tested.settings, &site.member, NULL), CHOIR_OK);
    assert_int_equal(home_open(state, &site.home), CHOIR_OK);
    assert_int_equal(ledger_open(state, NULL, &site.ledger), CHOIR_OK);
    site.data = -1;
    write_data("");
    parts = (struct vault_parts){.config = site.member.config,
                                 .roster = &site.member.roster,
                                 .home = &site.home,
                                 .ledger = site.ledger,
                                 .data_fd = site.data,
                                 .rows_fd = -1};
    assert_int_equal(vault_new(&parts, &site.vault), CHOIR_OK);
    site.log = memfd_create("log", 0);
    log_to(site.log);
    log_start("west", false, LOG_INFO);
}

static int begin(void **state)
{
    (void)state;
    make_vault(TESTED_POLICY);
    return 0;
}

static int end(void **state)
{
    (void)state;
    log_to(STDERR_FILENO);
    close(site.log);
    vault_free(site.vault);
    ledger_close(site.ledger);
    home_close(&site.home);
    membership_release(&site.member);
    close(site.data);
    tested_end(&site.tested);
    return 0;
}

static void write_plan(struct study_terms terms)
{
    bool none = strcmp(terms.mechanism, "none") == 0;
    char privacy[256];

    (void)snprintf(privacy, sizeof privacy,
                   none ? "{\"mechanism\": \"none\", \"sampling_rate\": 0.1}"
                        : "{\"mechanism\": \"dp-sgd\", \"clip_norm\": 1.0, "
                          "\"noise_multiplier\": %g, \"sampling_rate\": 0.1, "
                          "\"neighboring\": \"add_or_remove_one\", \"delta\": 1e-5}",
                   terms.noise);
    (void)snprintf(
        site.plan, sizeof site.plan,
        "{\"choir_plan\": 1, \"name\": \"small\", \"description\": \"for tests\","
        " \"data\": {\"columns\": ["
        "  {\"name\": \"amount\", \"kind\": \"numeric\", \"min\": 0, \"max\": 1000},"
        "  {\"name\": \"term\", \"kind\": \"category\", \"levels\": [\"a\", \"b\"]}],"
        "  \"label\": {\"name\": \"Class\", \"positive\": [\"bad\"], \"negative\": [\"good\"]},"
        "  \"header\": true},"
        " \"unit\": \"record\","
        " \"sites\": [{\"name\": \"%s\", \"nominal_size\": 60},"
        "  {\"name\": \"b\", \"nominal_size\": 60}, {\"name\": \"c\", \"nominal_size\": 60}],"
        " \"model\": {\"layers\": [{\"kind\": \"dense\", \"units\": 1, \"activation\": \"none\"}],"
        "  \"loss\": \"logistic\", \"init_seed\": 1},"
        " \"training\": {\"local_steps\": 4, \"optimizer\": {\"kind\": \"sgd\","
        "  \"learning_rate\": 0.1}}, \"rounds\": %u,"
        " \"server\": {\"kind\": \"fedavg\", \"learning_rate\": 1.0},"
        " \"pipeline\": [\"read\", \"unit_gradients\", \"%s\", \"sum\", \"server_optimizer\"],"
        " \"privacy\": %s, \"update\": {\"clip_norm\": 10.0, \"lane_bits\": 32},"
        " \"secure_aggregation\": \"off\","
        " \"quorum\": {\"min_sites\": %u, \"phase_deadline_s\": 30}}",
        terms.site, terms.rounds, none ? "sgd" : "dp_sgd", privacy, terms.min_sites);
    hash_bytes(site.plan_hash, site.plan, strlen(site.plan));
}

static void approve(void)
{
    assert_int_equal(home_keep_plan(&site.home, HOME_APPROVED, site.plan_hash,
                                    (const uint8_t *)site.plan, strlen(site.plan)),
                     CHOIR_OK);
}

// Hands a request in and takes what comes out; the carried descriptor, or -1.
static int ask(const struct hatch_request *request, int file)
{
    int carried = -1;

    assert_int_equal(vault_answer(site.vault, HATCH_COURIER, request, file, &site.answer, &carried),
                     CHOIR_OK);
    assert_true(hatch_answer_check(&site.answer, request->serial));
    return carried;
}

static uint32_t offer(const uint8_t *operator_secret)
{
    struct hatch_request request = hatch_request_of(HATCH_PLAN, 1);
    int file;

    memcpy(request.run, run, sizeof run);
    memcpy(request.hash, site.plan_hash, HASH_BYTES);
    planseal_make(request.signature, &site.member.roster, site.plan_hash, operator_secret);
    assert_int_equal(channel_file(site.plan, strlen(site.plan), &file), CHOIR_OK);
    assert_int_equal(ask(&request, file), -1);
    close(file);
    return site.answer.code;
}

static uint32_t offer_approved(struct study_terms terms)
{
    write_plan(terms);
    approve();
    return offer(site.tested.operator_secret);
}

static uint32_t mark(uint64_t round, uint32_t attempt, uint32_t minimum, bool revealed)
{
    struct hatch_request request = hatch_request_of(HATCH_MARK, 2);

    memcpy(request.run, run, sizeof run);
    request.round = round;
    request.mark = (struct mark){.round = round,
                                 .attempt = attempt,
                                 .threshold = minimum,
                                 .minimum = minimum,
                                 .r0 = {(uint8_t)attempt},
                                 .revealed = revealed};
    memcpy(request.mark.run, run, sizeof run);
    assert_int_equal(ask(&request, -1), -1);
    return site.answer.code;
}

static int model_file(uint64_t round)
{
    const float params[PARAMETERS] = {0.5F, -0.25F, 0.125F};
    uint8_t bytes[SNAPSHOT_HEAD_BYTES + sizeof params];
    int file;

    snapshot_head(bytes, site.plan_hash, round - 1, PARAMETERS);
    snapshot_put(bytes + SNAPSHOT_HEAD_BYTES, params, PARAMETERS);
    hash_bytes(site.model_hash, bytes, sizeof bytes);
    assert_int_equal(channel_file(bytes, sizeof bytes, &file), CHOIR_OK);
    return file;
}

static int train(uint64_t round)
{
    struct hatch_request request = hatch_request_of(HATCH_TRAIN, 3);
    int carried, file = model_file(round);

    memcpy(request.run, run, sizeof run);
    request.round = round;
    memcpy(request.hash, site.model_hash, HASH_BYTES);
    memcpy(request.hash2, site.plan_hash, HASH_BYTES);
    carried = ask(&request, file);
    close(file);
    return carried;
}

static const char *logged(void)
{
    static char text[LOG_TEXT_SIZE];
    ssize_t len = pread(site.log, text, sizeof text - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    return text;
}

static uint64_t charged_rounds(void)
{
    struct ledger_total total;
    uint64_t rounds;

    assert_int_equal(ledger_total(site.ledger, false, &total), CHOIR_OK);
    rounds = total.rounds;
    ledger_total_free(&total);
    return rounds;
}

static void a_plan_of_somebody_else_is_refused(void **state)
{
    (void)state;
    write_plan(usual);
    approve();
    assert_int_equal(offer(site.tested.root_secret), MESSAGE_CODE_POLICY);
    assert_non_null(strstr(site.answer.text, "not signed by the operator"));
}

static void a_plan_that_is_not_approved_waits_where_the_operator_finds_it(void **state)
{
    (void)state;
    write_plan(usual);
    assert_int_equal(offer(site.tested.operator_secret), MESSAGE_CODE_NOT_APPROVED);
    assert_true(home_has_plan(&site.home, HOME_OFFERED, site.plan_hash));
    assert_non_null(strstr(logged(), "choir-node approve"));
    approve();
    assert_int_equal(offer(site.tested.operator_secret), MESSAGE_CODE_NONE);
    assert_int_equal(site.answer.terms.rounds, 5);
    assert_int_equal(site.answer.terms.n_parameters, PARAMETERS);
    assert_int_equal(site.answer.terms.min_sites, 3);
}

static void a_noise_below_the_floor_is_refused_with_both_numbers(void **state)
{
    (void)state;
    assert_int_equal(offer_approved((struct study_terms){0.4, 5, 3, "west", "dp-sgd"}),
                     MESSAGE_CODE_POLICY);
    assert_non_null(strstr(site.answer.text, "0.4"));
    assert_non_null(strstr(site.answer.text, "0.5"));
}

static void a_cohort_below_the_minimum_is_refused_with_both_numbers(void **state)
{
    (void)state;
    assert_int_equal(offer_approved((struct study_terms){3.0, 5, 2, "west", "dp-sgd"}),
                     MESSAGE_CODE_POLICY);
    assert_non_null(strstr(site.answer.text, "2"));
    assert_non_null(strstr(site.answer.text, "3"));
}

static void mechanism_none_needs_the_policy_to_say_so(void **state)
{
    (void)state;
    assert_int_equal(offer_approved((struct study_terms){3.0, 5, 3, "west", "none"}),
                     MESSAGE_CODE_POLICY);
    assert_non_null(strstr(site.answer.text, "none"));
}

static void a_plan_without_this_site_is_refused(void **state)
{
    (void)state;
    assert_int_equal(offer_approved((struct study_terms){3.0, 5, 3, "north", "dp-sgd"}),
                     MESSAGE_CODE_POLICY);
    assert_non_null(strstr(site.answer.text, "west"));
}

static void a_plan_above_the_budget_is_refused_with_the_numbers(void **state)
{
    (void)state;
    assert_int_equal(offer_approved((struct study_terms){0.6, 500, 3, "west", "dp-sgd"}),
                     MESSAGE_CODE_BUDGET);
    assert_non_null(strstr(site.answer.text, "budget is 3.000"));
    assert_int_equal(charged_rounds(), 0);
}

static void the_place_of_a_bad_value_is_logged_and_the_value_is_not(void **state)
{
    (void)state;
    write_data("987654,a,bad\n");
    vault_free(site.vault);
    assert_int_equal(vault_new(&(struct vault_parts){.config = site.member.config,
                                                     .roster = &site.member.roster,
                                                     .home = &site.home,
                                                     .ledger = site.ledger,
                                                     .data_fd = site.data,
                                                     .rows_fd = -1},
                               &site.vault),
                     CHOIR_OK);
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_DATA);
    assert_non_null(strstr(logged(), "amount"));
    assert_non_null(strstr(logged(), "60"));
    assert_null(strstr(logged(), "987654"));
    assert_null(strstr(site.answer.text, "amount"));
}

static void nothing_is_trained_before_the_attempt_is_marked(void **state)
{
    (void)state;
    assert_int_equal(train(1), -1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_NOT_APPROVED);
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
    assert_int_equal(train(1), -1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_STALE);
    assert_int_equal(charged_rounds(), 0);
}

static void an_update_is_charged_once_and_given_again_byte_for_byte(void **state)
{
    uint8_t first[64], second[64], digest[HASH_BYTES];
    ssize_t len;
    int fd;

    (void)state;
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 1, 3, false), MESSAGE_CODE_NONE);
    fd = train(1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_NONE);
    len = pread(fd, first, sizeof first, 0);
    assert_int_equal(len, 4 * (PARAMETERS + 1));
    assert_int_equal(site.answer.update.bytes, len);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    close(fd);
    hash_bytes(digest, first, (size_t)len);
    assert_memory_equal(digest, site.answer.update.digest, HASH_BYTES);

    assert_int_equal(mark(1, 2, 3, false), MESSAGE_CODE_NONE);
    fd = train(1);
    assert_int_equal(pread(fd, second, sizeof second, 0), len);
    assert_memory_equal(first, second, (size_t)len);
    close(fd);
    assert_int_equal(charged_rounds(), 1);
    assert_non_null(strstr(logged(), "round_charged"));
}

static void another_model_than_the_one_asked_for_is_refused(void **state)
{
    struct hatch_request request = hatch_request_of(HATCH_TRAIN, 3);
    int file;

    (void)state;
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 1, 3, false), MESSAGE_CODE_NONE);
    file = model_file(1);
    memcpy(request.run, run, sizeof run);
    request.round = 1;
    memcpy(request.hash, site.model_hash, HASH_BYTES);
    memcpy(request.hash2, site.plan_hash, HASH_BYTES);
    request.hash[0] ^= 1;
    assert_int_equal(ask(&request, file), -1);
    close(file);
    assert_int_equal(site.answer.code, MESSAGE_CODE_FORMAT);
    assert_int_equal(charged_rounds(), 0);
}

static void an_approval_can_be_taken_back(void **state)
{
    char name[HOME_NAME_MAX];

    (void)state;
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 1, 3, false), MESSAGE_CODE_NONE);
    hex_put(name, site.plan_hash, HASH_BYTES);
    memcpy(name + (size_t)2 * HASH_BYTES, ".json", sizeof ".json");
    assert_int_equal(unlinkat(site.home.fd[HOME_APPROVED], name, 0), 0);
    assert_int_equal(train(1), -1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_NOT_APPROVED);
    assert_int_equal(charged_rounds(), 0);
}

static void marks_only_rise_and_nothing_follows_a_reveal(void **state)
{
    (void)state;
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 1, 2, false), MESSAGE_CODE_QUORUM);
    assert_int_equal(mark(1, 2, 3, false), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 2, 3, false), MESSAGE_CODE_STALE);
    assert_int_equal(mark(1, 1, 3, false), MESSAGE_CODE_STALE);
    assert_int_equal(mark(1, 1, 3, true), MESSAGE_CODE_STALE);
    assert_int_equal(mark(1, 2, 3, true), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 2, 3, true), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 3, 3, false), MESSAGE_CODE_STALE);
    assert_int_equal(mark(2, 1, 3, false), MESSAGE_CODE_NONE);
    assert_int_equal(mark(6, 1, 3, false), MESSAGE_CODE_NOT_APPROVED); // the plan has 5 rounds
}

static void one_set_of_survivors_is_consented_to(void **state)
{
    struct hatch_request request = hatch_request_of(HATCH_CONSENT, 4);

    (void)state;
    memcpy(request.run, run, sizeof run);
    request.round = 1;
    request.hash[0] = 2;
    request.hash2[0] = 3;
    assert_int_equal(ask(&request, -1), -1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_NONE);
    (void)ask(&request, -1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_NONE);
    request.hash2[0] = 4;
    (void)ask(&request, -1);
    assert_int_equal(site.answer.code, MESSAGE_CODE_SECOND_CONSENT);
}

static void a_fake_courier_gets_refusals_and_breaks_nothing(void **state)
{
    struct hatch_request request;
    uint8_t noise[sizeof request];

    (void)state;
    for (int i = 0; i < 200; i++) {
        rng_bytes(noise, sizeof noise);
        memcpy(&request, noise, sizeof request);
        assert_int_equal(ask(&request, -1), -1);
        assert_int_equal(site.answer.code, MESSAGE_CODE_FORMAT);
    }
    for (int kind = HATCH_HELLO; kind < HATCH_KINDS; kind++) {
        memcpy(&request, noise, sizeof request);
        request.magic = HATCH_MAGIC;
        request.version = HATCH_VERSION;
        request.kind = (uint16_t)kind;
        (void)ask(&request, kind == HATCH_PLAN || kind == HATCH_TRAIN ? site.data : -1);
    }
    assert_int_equal(charged_rounds(), 0);
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
}

static void the_operator_reads_the_budget(void **state)
{
    struct hatch_request request = hatch_request_of(HATCH_BUDGET, 5);
    char text[4096] = "";
    int carried = -1;

    (void)state;
    assert_int_equal(offer_approved(usual), MESSAGE_CODE_NONE);
    assert_int_equal(mark(1, 1, 3, false), MESSAGE_CODE_NONE);
    close(train(1));
    assert_int_equal(ask(&request, -1), -1); // not for the courier
    assert_int_equal(site.answer.code, MESSAGE_CODE_FORMAT);
    assert_int_equal(
        vault_answer(site.vault, HATCH_SUPERVISOR, &request, -1, &site.answer, &carried), CHOIR_OK);
    assert_true(pread(carried, text, sizeof text - 1, 0) > 0);
    close(carried);
    assert_non_null(strstr(text, "budget      3.000"));
    assert_non_null(strstr(text, "1 rounds charged"));
    assert_non_null(strstr(text, "of 5 rounds would fit"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plan_of_somebody_else_is_refused),
        TEST(a_plan_that_is_not_approved_waits_where_the_operator_finds_it),
        TEST(a_noise_below_the_floor_is_refused_with_both_numbers),
        TEST(a_cohort_below_the_minimum_is_refused_with_both_numbers),
        TEST(mechanism_none_needs_the_policy_to_say_so),
        TEST(a_plan_without_this_site_is_refused),
        TEST(a_plan_above_the_budget_is_refused_with_the_numbers),
        TEST(the_place_of_a_bad_value_is_logged_and_the_value_is_not),
        TEST(nothing_is_trained_before_the_attempt_is_marked),
        TEST(an_update_is_charged_once_and_given_again_byte_for_byte),
        TEST(another_model_than_the_one_asked_for_is_refused),
        TEST(an_approval_can_be_taken_back),
        TEST(marks_only_rise_and_nothing_follows_a_reveal),
        TEST(one_set_of_survivors_is_consented_to),
        TEST(a_fake_courier_gets_refusals_and_breaks_nothing),
        TEST(the_operator_reads_the_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
