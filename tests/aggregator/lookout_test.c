/* What a relay learns from letters that pass it, and which ones it does not pass on. */
#include "aggregator/lookout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/rng.h"
#include "crypto/sign.h"
#include "wire/envelope.h"

enum { RELAY = ROSTER_RELAY_FIRST, N_PARAMETERS = 9, VECTOR_BYTES = 4 * (9 + 1) };

static struct roster_site sites[] = {{.id = 1, .name = "north", .relay = RELAY},
                                     {.id = 2, .name = "south", .relay = RELAY + 1},
                                     {.id = 3, .name = "east", .relay = RELAY}};
static struct roster_relay relays[] = {{.id = RELAY, .name = "harbour"},
                                       {.id = RELAY + 1, .name = "tower"}};
static struct roster roster = {
    .epoch = 2, .n_sites = 3, .sites = sites, .n_relays = 2, .relays = relays};
static uint8_t secrets[4][SIGN_SECRET_BYTES]; // of the aggregator and the sites, by id
static struct lookout lookout;
static struct lookout_vector vector;
static enum lookout_news news;
static struct message message; // too large for the stack
static uint64_t sequence;
static uint8_t *bytes;
static size_t len;

static int setup(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    sign_keypair(roster.aggregator.sign_key, secrets[0]);
    for (size_t i = 0; i < roster.n_sites; i++)
        sign_keypair(sites[i].sign_key, secrets[i + 1]);
    return lookout_init(&lookout, &roster, RELAY) == CHOIR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    lookout_release(&lookout);
    free(bytes);
    bytes = NULL;
    return 0;
}

// Seals `message` of round `round`, attempt `attempt` of run 5 5 5... as `sender`.
static void seal(uint32_t sender, uint64_t round, uint32_t attempt)
{
    static uint8_t body[MESSAGE_BODY_MAX];
    struct envelope envelope = {.kind = (uint16_t)message.kind,
                                .round_no = round,
                                .attempt = attempt,
                                .sender = sender,
                                .sequence = ++sequence,
                                .roster_epoch = roster.epoch};
    size_t body_len = 0;

    memset(envelope.run, 5, sizeof envelope.run);
    assert_int_equal(message_encode(&message, body, sizeof body, &body_len), CHOIR_OK);
    free(bytes);
    assert_int_equal(envelope_seal(&envelope, body, body_len, secrets[sender], &bytes, &len),
                     CHOIR_OK);
}

static enum choir_err passes_down(void)
{
    return lookout_down(&lookout, bytes, len, &news);
}

static void opens(uint64_t round, uint32_t attempt, uint16_t suite, uint8_t model)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ROUND_OPEN;
    memset(message.round_open.run, 5, sizeof message.round_open.run);
    message.round_open.round = round;
    message.round_open.attempt = attempt;
    message.round_open.model_hash[0] = model;
    message.round_open.n_parameters = N_PARAMETERS;
    message.round_open.lane_bits = 32;
    message.round_open.suite = suite;
    message.round_open.deadline_ms = 1000;
    message.round_open.threshold = message.round_open.minimum = 3;
    message.round_open.sites = (struct site_set){.n = 3, .id = {1, 2, 3}};
    seal(ROSTER_AGGREGATOR, round, attempt);
    assert_int_equal(passes_down(), CHOIR_OK);
}

static void announce(uint32_t site, uint64_t round, uint32_t attempt, uint64_t vector_bytes)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_MASKED;
    message.masked.suite = 1;
    message.masked.site = site;
    message.masked.n_parameters = N_PARAMETERS;
    message.masked.lane_bits = 32;
    message.masked.bytes = vector_bytes;
    message.masked.root[0] = (uint8_t)site;
    seal(site, round, attempt);
}

static enum choir_err passes_up(uint32_t connection)
{
    return lookout_up(&lookout, connection, bytes, len, &vector, &news);
}

static void a_round_that_is_opened_is_news_once(void **state)
{
    (void)state;
    opens(1, 1, 1, 7);
    assert_int_equal(news, LOOKOUT_ROUND);
    assert_true(lookout.open);
    assert_int_equal(lookout.bytes, VECTOR_BYTES);
    assert_int_equal(lookout.model[0], 7);
    opens(1, 1, 1, 7); // sent again
    assert_int_equal(news, LOOKOUT_NOTHING);
    opens(1, 2, 1, 7);
    assert_int_equal(news, LOOKOUT_ROUND);
    opens(1, 1, 1, 7); // an old one, late
    assert_int_equal(news, LOOKOUT_NOTHING);
    assert_int_equal(lookout.attempt, 2);
}

static void a_letter_of_yesterday_does_not_bring_its_round_back(void **state)
{
    uint8_t *old;
    size_t old_len;

    (void)state;
    opens(1, 1, 1, 7);
    old = malloc(len);
    assert_non_null(old);
    memcpy(old, bytes, len);
    old_len = len;
    opens(2, 1, 1, 8);
    assert_int_equal(lookout_down(&lookout, old, old_len, &news), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_NOTHING);
    assert_int_equal(lookout.round, 2);
    free(old);
}

static void an_announced_vector_is_expected(void **state)
{
    (void)state;
    opens(1, 1, 1, 7);
    announce(3, 1, 1, VECTOR_BYTES);
    assert_int_equal(passes_up(3), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_VECTOR);
    assert_int_equal(vector.site, 3);
    assert_int_equal(vector.bytes, VECTOR_BYTES);
    assert_int_equal(vector.root[0], 3);
}

static void a_vector_of_another_round_or_shape_passes_and_is_not_expected(void **state)
{
    (void)state;
    opens(1, 2, 1, 7);
    announce(1, 1, 1, VECTOR_BYTES); // an attempt that is over
    assert_int_equal(passes_up(1), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_NOTHING);
    announce(1, 1, 2, VECTOR_BYTES + 4);
    assert_int_equal(passes_up(1), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_NOTHING);
    message.kind = MESSAGE_ATTEMPT_ABANDONED;
    memset(&message.attempt_abandoned, 0, sizeof message.attempt_abandoned);
    message.attempt_abandoned.code = MESSAGE_CODE_QUORUM;
    seal(ROSTER_AGGREGATOR, 1, 2);
    assert_int_equal(passes_down(), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_OVER);
    announce(1, 1, 2, VECTOR_BYTES);
    assert_int_equal(passes_up(1), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_NOTHING);
}

static void with_masks_off_no_vector_is_taken(void **state)
{
    (void)state;
    opens(1, 1, 0, 7);
    announce(1, 1, 1, VECTOR_BYTES);
    message.masked.suite = 0;
    seal(1, 1, 1);
    assert_int_equal(passes_up(1), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_NOTHING);
}

static void a_letter_of_somebody_else_is_not_passed_on(void **state)
{
    (void)state;
    opens(1, 1, 1, 7);
    announce(3, 1, 1, VECTOR_BYTES);
    assert_int_equal(passes_up(1), CHOIR_ERR_REFUSED); // site 3's words over site 1's connection
    announce(2, 1, 1, VECTOR_BYTES);
    assert_int_equal(passes_up(2), CHOIR_ERR_REFUSED); // behind the other relay
    announce(1, 1, 1, VECTOR_BYTES);
    bytes[len - 1] ^= 1;
    assert_int_equal(passes_up(1), CHOIR_ERR_FORGED);
    opens(2, 1, 1, 8);
    assert_int_equal(passes_up(1), CHOIR_ERR_REFUSED); // the aggregator's letter comes from above
    announce(1, 2, 1, VECTOR_BYTES);
    assert_int_equal(passes_down(), CHOIR_ERR_REFUSED); // and a site's from below
    bytes[len - 1] ^= 1;
    assert_int_equal(passes_down(), CHOIR_ERR_FORGED);
}

static void a_closed_round_and_the_end_of_a_run_name_the_next_model(void **state)
{
    (void)state;
    opens(1, 1, 1, 7);
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_ROUND_CLOSE;
    message.round_close.model_hash[0] = 8;
    message.round_close.participants = (struct site_set){.n = 2, .id = {1, 3}};
    seal(ROSTER_AGGREGATOR, 1, 1);
    assert_int_equal(passes_down(), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_CLOSED);
    assert_int_equal(lookout.model[0], 8);
    seal(ROSTER_AGGREGATOR, 1, 1); // sent again
    assert_int_equal(passes_down(), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_NOTHING);
    opens(2, 1, 1, 8);
    assert_int_equal(news, LOOKOUT_ROUND);
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_RUN_END;
    message.run_end.code = MESSAGE_CODE_FINISHED;
    message.run_end.rounds = 2;
    message.run_end.model_hash[0] = 9;
    seal(ROSTER_AGGREGATOR, 0, 0);
    assert_int_equal(passes_down(), CHOIR_OK);
    assert_int_equal(news, LOOKOUT_MODEL);
    assert_int_equal(lookout.model[0], 9);
    assert_false(lookout.open);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_round_that_is_opened_is_news_once),
        TEST(a_letter_of_yesterday_does_not_bring_its_round_back),
        TEST(an_announced_vector_is_expected),
        TEST(a_vector_of_another_round_or_shape_passes_and_is_not_expected),
        TEST(with_masks_off_no_vector_is_taken),
        TEST(a_letter_of_somebody_else_is_not_passed_on),
        TEST(a_closed_round_and_the_end_of_a_run_name_the_next_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
