/* What the aggregator knows of vectors behind relays, and the sums it takes from them. */
#include "aggregator/collection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { HARBOUR = ROSTER_RELAY_FIRST, TOWER, WAIT_MS = 60000 };

static struct roster_site sites[] = {
    {.id = 1, .name = "north-1", .relay = HARBOUR},
    {.id = 2, .name = "north-2", .relay = HARBOUR},
    {.id = 3, .name = "south", .relay = TOWER},
    {.id = 4, .name = "centre"},
};
static struct roster_relay relays[] = {{.id = HARBOUR, .name = "harbour"},
                                       {.id = TOWER, .name = "tower"}};
static struct roster roster = {
    .epoch = 7, .n_sites = 4, .sites = sites, .n_relays = 2, .relays = relays};
static const struct collection_round this_round = {.run = {9}, .round = 3, .attempt = 1};
static const uint8_t root_of[5][HASH_BYTES] = {{0}, {1}, {2}, {3}, {4}};
static const uint8_t sum_root[HASH_BYTES] = {77};
static struct collection *collection;
static struct relay_letter letter, question; // too large for the stack of a test

static int open_collection(void **state)
{
    (void)state;
    memset(&question, 0, sizeof question);
    return collection_new(&roster, &collection) == CHOIR_OK ? 0 : -1;
}

static int close_collection(void **state)
{
    (void)state;
    collection_free(collection);
    return 0;
}

static void begin_letter(enum relay_kind kind, uint32_t relay)
{
    memset(&letter, 0, sizeof letter);
    letter.kind = kind;
    letter.relay = relay;
    letter.roster_epoch = roster.epoch;
    memcpy(letter.run, this_round.run, sizeof letter.run);
    letter.round = this_round.round;
    letter.attempt = this_round.attempt;
}

static enum collection_news relay_has(uint32_t relay, uint32_t site, bool whole,
                                      const uint8_t root[static HASH_BYTES])
{
    begin_letter(RELAY_HAVE, relay);
    letter.n = 1;
    letter.vector[0].site = site;
    letter.vector[0].whole = whole;
    memcpy(letter.vector[0].root, root, HASH_BYTES);
    return collection_have(collection, &letter, 0);
}

// U is sites 1 to n.
static size_t wish_for(uint32_t n)
{
    static struct site_set u;
    static uint8_t roots[4][HASH_BYTES];
    struct collection_wish wish = {
        .round = this_round, .sites = &u, .roots = roots, .lane_bits = 32, .bytes = 4096};

    u.n = n;
    for (uint32_t i = 0; i < n; i++) {
        u.id[i] = i + 1;
        memcpy(roots[i], root_of[i + 1], HASH_BYTES);
    }
    return collection_begin(collection, &wish, 1000, WAIT_MS);
}

static enum choir_err answers(uint32_t relay, enum relay_code code,
                              const uint8_t root[static HASH_BYTES])
{
    begin_letter(RELAY_ANSWER, relay);
    while (question.relay != relay)
        assert_true(collection_ask(collection, 1000, &question));
    relay_question(&question, letter.question);
    letter.code = code;
    if (code == RELAY_LACKS)
        letter.site = 2;
    if (code == RELAY_SUMMED) {
        letter.bytes = 4096;
        memcpy(letter.root, root, HASH_BYTES);
    }
    return collection_answer(collection, &letter);
}

static void a_letter_comes_over_the_connection_that_the_roster_says(void **state)
{
    (void)state;
    assert_true(collection_may_speak(collection, HARBOUR, 1));
    assert_true(collection_may_speak(collection, 4, 4));
    assert_false(collection_may_speak(collection, TOWER, 1));   // another relay's site
    assert_false(collection_may_speak(collection, HARBOUR, 4)); // one that has no relay
    assert_false(collection_may_speak(collection, 1, 1));       // past its relay
    assert_false(collection_may_speak(collection, 4, 1));
    assert_false(collection_may_speak(collection, HARBOUR, HARBOUR));
    assert_false(collection_may_speak(collection, HARBOUR, 9));
}

static void a_vector_is_told_of_once_it_is_whole(void **state)
{
    (void)state;
    assert_int_equal(relay_has(HARBOUR, 1, true, root_of[1]), COLLECTION_NOTHING);
    assert_false(collection_expect(collection, &this_round, 1, root_of[1]));
    assert_int_equal(relay_has(HARBOUR, 1, false, root_of[1]), COLLECTION_CAME);
    assert_int_equal(relay_has(HARBOUR, 1, true, root_of[1]), COLLECTION_WHOLE);
    assert_int_equal(relay_has(HARBOUR, 1, true, root_of[1]), COLLECTION_NOTHING);
    assert_true(collection_expect(collection, &this_round, 1, root_of[1]));
    collection_forget(collection, 1);
    assert_int_equal(relay_has(HARBOUR, 1, true, root_of[1]), COLLECTION_NOTHING);
}

static void a_relay_speaks_for_its_own_sites_and_this_round_only(void **state)
{
    struct collection_round next = this_round;

    (void)state;
    collection_expect(collection, &this_round, 1, root_of[1]);
    collection_expect(collection, &this_round, 4, root_of[4]);
    assert_int_equal(relay_has(TOWER, 1, true, root_of[1]), COLLECTION_NOTHING);
    assert_int_equal(relay_has(TOWER, 4, true, root_of[4]), COLLECTION_NOTHING);
    assert_int_equal(relay_has(HARBOUR, 1, true, root_of[2]), COLLECTION_NOTHING);
    next.attempt++;
    collection_expect(collection, &next, 1, root_of[1]);
    assert_int_equal(relay_has(HARBOUR, 1, true, root_of[1]), COLLECTION_NOTHING);
}

static void each_relay_is_asked_for_its_sites_of_u_until_it_answers(void **state)
{
    (void)state;
    assert_int_equal(wish_for(4), 2);
    assert_true(collection_ask(collection, 1000, &question));
    assert_int_equal(question.relay, HARBOUR);
    assert_int_equal(question.n, 2);
    assert_int_equal(question.vector[1].site, 2);
    assert_memory_equal(question.vector[1].root, root_of[2], HASH_BYTES);
    assert_true(collection_ask(collection, 1000, &question));
    assert_int_equal(question.relay, TOWER);
    assert_int_equal(question.n, 1);
    assert_false(collection_ask(collection, 1500, &question));
    assert_int_equal(answers(TOWER, RELAY_SUMMED, sum_root), CHOIR_OK);
    assert_true(collection_ask(collection, 9000, &question)); // harbour again
    assert_int_equal(question.relay, HARBOUR);
    assert_false(collection_ask(collection, 9000, &question));
}

static void without_relays_in_u_there_is_nothing_to_wait_for(void **state)
{
    struct site_set u = {.n = 1, .id = {4}};
    uint8_t roots[1][HASH_BYTES] = {{4}};
    struct collection_wish wish = {
        .round = this_round, .sites = &u, .roots = roots, .lane_bits = 16, .bytes = 2};

    (void)state;
    assert_int_equal(collection_begin(collection, &wish, 0, WAIT_MS), 0);
    assert_int_equal(collection_state(collection, 0), COLLECTION_READY);
    collection_end(collection);
    assert_int_equal(collection_state(collection, 0), COLLECTION_IDLE);
}

static void every_sum_is_here_before_the_round_is_merged(void **state)
{
    const uint8_t *root = NULL;
    uint32_t relay = 0;

    (void)state;
    assert_int_equal(wish_for(3), 2);
    assert_int_equal(answers(HARBOUR, RELAY_SUMMED, sum_root), CHOIR_OK);
    collection_came(collection, HARBOUR, sum_root);
    assert_int_equal(collection_state(collection, 2000), COLLECTION_WAITING);
    collection_came(collection, TOWER, sum_root); // not answered yet: of another question
    assert_int_equal(collection_state(collection, 2000), COLLECTION_WAITING);
    assert_int_equal(answers(TOWER, RELAY_SUMMED, root_of[3]), CHOIR_OK);
    collection_came(collection, TOWER, sum_root);
    assert_int_equal(collection_state(collection, 2000), COLLECTION_WAITING);
    collection_came(collection, TOWER, root_of[3]);
    assert_int_equal(collection_state(collection, 2000), COLLECTION_READY);
    collection_sum(collection, 1, &relay, &root);
    assert_int_equal(relay, TOWER);
    assert_memory_equal(root, root_of[3], HASH_BYTES);
}

static void a_sum_over_other_sites_is_refused(void **state)
{
    (void)state;
    wish_for(1); // harbour is asked for site 1 alone
    assert_true(collection_ask(collection, 1000, &question));
    wish_for(2); // and now for both
    assert_int_equal(answers(HARBOUR, RELAY_SUMMED, sum_root), CHOIR_ERR_REFUSED);
    collection_came(collection, HARBOUR, sum_root);
    assert_int_equal(collection_state(collection, 2000), COLLECTION_WAITING);
}

static void a_second_sum_to_one_question_is_refused(void **state)
{
    (void)state;
    wish_for(2);
    assert_int_equal(answers(HARBOUR, RELAY_SUMMED, sum_root), CHOIR_OK);
    assert_int_equal(answers(HARBOUR, RELAY_SUMMED, sum_root), CHOIR_OK);
    assert_int_equal(answers(HARBOUR, RELAY_SUMMED, root_of[1]), CHOIR_ERR_REFUSED);
}

static void a_relay_that_was_not_asked_is_refused(void **state)
{
    (void)state;
    wish_for(3);
    assert_int_equal(answers(TOWER, RELAY_SUMMED, sum_root), CHOIR_OK);
    wish_for(2);
    letter.relay = TOWER;
    assert_int_equal(collection_answer(collection, &letter), CHOIR_ERR_REFUSED);
}

static void a_relay_without_a_sum_fails_the_merge_by_name(void **state)
{
    char text[MESSAGE_TEXT_MAX + 1];

    (void)state;
    wish_for(3);
    assert_int_equal(answers(HARBOUR, RELAY_LACKS, sum_root), CHOIR_ERR_MISSING);
    assert_int_equal(collection_state(collection, 2000), COLLECTION_FAILED);
    collection_fault(collection, 2000, text, sizeof text);
    assert_string_equal(text, "relay harbour no longer has the vector of site north-2");
}

static void a_relay_that_stays_away_fails_the_merge_by_name(void **state)
{
    char text[MESSAGE_TEXT_MAX + 1];

    (void)state;
    wish_for(3);
    assert_int_equal(answers(HARBOUR, RELAY_SUMMED, sum_root), CHOIR_OK);
    collection_came(collection, HARBOUR, sum_root);
    assert_int_equal(collection_state(collection, 1000 + WAIT_MS - 1), COLLECTION_WAITING);
    assert_int_equal(collection_state(collection, 1000 + WAIT_MS), COLLECTION_FAILED);
    collection_fault(collection, 1000 + WAIT_MS, text, sizeof text);
    assert_string_equal(text, "relay tower has not delivered the sum of its sites within 60 s");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_collection, close_collection)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_letter_comes_over_the_connection_that_the_roster_says),
        TEST(a_vector_is_told_of_once_it_is_whole),
        TEST(a_relay_speaks_for_its_own_sites_and_this_round_only),
        TEST(each_relay_is_asked_for_its_sites_of_u_until_it_answers),
        TEST(without_relays_in_u_there_is_nothing_to_wait_for),
        TEST(every_sum_is_here_before_the_round_is_merged),
        TEST(a_sum_over_other_sites_is_refused),
        TEST(a_second_sum_to_one_question_is_refused),
        TEST(a_relay_that_was_not_asked_is_refused),
        TEST(a_relay_without_a_sum_fails_the_merge_by_name),
        TEST(a_relay_that_stays_away_fails_the_merge_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
