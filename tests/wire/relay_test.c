/* What relays and the aggregator say to each other, and the frame. */
#include "wire/relay.h"

#include <stdlib.h>

#include "tests/wire/federation.h"

static struct federation federation;
static struct party relay_party;
static struct relay_letter letter, found; // too large for the stack of a test

static void add_relay(void)
{
    struct roster_relay relay = {
        .name = "harbour", .control = "tcp://127.0.0.1:7201", .bulk = "tcp://127.0.0.1:7202"};
    uint32_t id = 0;

    sign_keypair(relay.sign_key, relay_party.sign_secret);
    curve_keypair(relay.curve_key, relay_party.curve_secret);
    assert_int_equal(roster_add_relay(&federation.roster, &relay, &id), CHOIR_OK);
    assert_int_equal(id, ROSTER_RELAY_FIRST);
}

static int setup(void **state)
{
    (void)state;
    make_federation(&federation);
    add_relay();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    roster_release(&federation.roster);
    return 0;
}

static void begin(enum relay_kind kind)
{
    memset(&letter, 0, sizeof letter);
    letter.kind = kind;
    letter.relay = ROSTER_RELAY_FIRST;
    letter.roster_epoch = federation.roster.epoch;
    rng_bytes(letter.run, sizeof letter.run);
    letter.round = 4;
    letter.attempt = 2;
    if (kind == RELAY_ANSWER) {
        rng_bytes(letter.question, sizeof letter.question);
        rng_bytes(letter.root, sizeof letter.root);
        letter.bytes = 4096;
        return;
    }
    letter.n = 2;
    for (uint32_t i = 0; i < 2; i++) {
        letter.vector[i].site = i + 1;
        letter.vector[i].whole = true;
        rng_bytes(letter.vector[i].root, HASH_BYTES);
    }
    if (kind == RELAY_SUM) {
        letter.lane_bits = 32;
        letter.bytes = 4096;
    }
}

static const uint8_t *signer(enum relay_kind kind)
{
    return kind == RELAY_SUM ? federation.aggregator.sign_secret : relay_party.sign_secret;
}

static void every_letter_comes_back_as_it_was(void **state)
{
    uint8_t bytes[RELAY_LETTER_MAX];
    size_t len = 0;

    (void)state;
    for (enum relay_kind kind = RELAY_HAVE; kind < RELAY_KINDS; kind++) {
        begin(kind);
        if (kind == RELAY_HAVE)
            letter.vector[1].whole = false;
        assert_int_equal(relay_seal(&letter, signer(kind), bytes, &len), CHOIR_OK);
        assert_true(relay_is_letter(bytes, len));
        assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_OK);
        assert_memory_equal(&found, &letter, sizeof letter);
    }
}

static void the_largest_letter_fits(void **state)
{
    uint8_t bytes[RELAY_LETTER_MAX];
    size_t len = 0;

    (void)state;
    begin(RELAY_HAVE);
    letter.n = MESSAGE_SITES_MAX;
    for (uint32_t i = 0; i < MESSAGE_SITES_MAX; i++)
        letter.vector[i].site = i + 1;
    assert_int_equal(relay_seal(&letter, signer(RELAY_HAVE), bytes, &len), CHOIR_OK);
    assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_OK);
    assert_int_equal(found.n, MESSAGE_SITES_MAX);
}

static void a_letter_by_another_key_is_forged(void **state)
{
    uint8_t bytes[RELAY_LETTER_MAX];
    size_t len = 0;

    (void)state;
    begin(RELAY_SUM); // a relay cannot ask another one
    assert_int_equal(relay_seal(&letter, relay_party.sign_secret, bytes, &len), CHOIR_OK);
    assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_ERR_FORGED);
    begin(RELAY_HAVE); // a site cannot speak for its relay
    assert_int_equal(relay_seal(&letter, federation.site[0].sign_secret, bytes, &len), CHOIR_OK);
    assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_ERR_FORGED);
    begin(RELAY_ANSWER);
    assert_int_equal(relay_seal(&letter, signer(RELAY_ANSWER), bytes, &len), CHOIR_OK);
    bytes[len / 2] ^= 1;
    assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_ERR_FORGED);
}

static void an_unknown_relay_and_another_epoch_are_refused(void **state)
{
    uint8_t bytes[RELAY_LETTER_MAX];
    size_t len = 0;

    (void)state;
    begin(RELAY_HAVE);
    letter.relay++;
    assert_int_equal(relay_seal(&letter, signer(RELAY_HAVE), bytes, &len), CHOIR_OK);
    assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_ERR_MISSING);
    begin(RELAY_HAVE);
    letter.roster_epoch++;
    assert_int_equal(relay_seal(&letter, signer(RELAY_HAVE), bytes, &len), CHOIR_OK);
    assert_int_equal(relay_open(bytes, len, &federation.roster, &found), CHOIR_ERR_REFUSED);
}

static void expect_refused(void)
{
    uint8_t bytes[RELAY_LETTER_MAX];
    size_t len = 0;

    assert_int_equal(relay_seal(&letter, signer(letter.kind), bytes, &len), CHOIR_ERR_FORMAT);
}

static void fields_out_of_range_are_not_written(void **state)
{
    (void)state;
    begin(RELAY_HAVE);
    letter.vector[1].site = letter.vector[0].site; // a site twice
    expect_refused();
    begin(RELAY_HAVE);
    letter.vector[1].site = ROSTER_RELAY_FIRST; // a relay's own vector is no vector
    expect_refused();
    begin(RELAY_HAVE);
    letter.relay = 7; // a site is no relay
    expect_refused();
    begin(RELAY_SUM);
    letter.lane_bits = 8;
    expect_refused();
    begin(RELAY_SUM);
    letter.bytes = 0;
    expect_refused();
    begin(RELAY_ANSWER);
    letter.code = RELAY_LACKS; // whose?
    expect_refused();
    begin(RELAY_ANSWER);
    letter.code = RELAY_FAILED; // a root of nothing
    expect_refused();
    begin(RELAY_ANSWER);
    letter.round = 0;
    expect_refused();
}

static void cut_letters_are_malformed(void **state)
{
    uint8_t bytes[RELAY_LETTER_MAX];
    size_t len = 0;

    (void)state;
    begin(RELAY_SUM);
    assert_int_equal(relay_seal(&letter, signer(RELAY_SUM), bytes, &len), CHOIR_OK);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(relay_open(bytes, cut, &federation.roster, &found), CHOIR_OK);
}

static void two_questions_differ_when_a_site_or_a_root_does(void **state)
{
    uint8_t one[HASH_BYTES], other[HASH_BYTES];

    (void)state;
    begin(RELAY_SUM);
    relay_question(&letter, one);
    letter.vector[1].root[0] ^= 1;
    relay_question(&letter, other);
    assert_memory_not_equal(one, other, HASH_BYTES);
    letter.vector[1].root[0] ^= 1;
    letter.vector[1].site++;
    relay_question(&letter, other);
    assert_memory_not_equal(one, other, HASH_BYTES);
}

static void a_frame_names_its_receivers_and_leaves_the_letter_alone(void **state)
{
    static const uint8_t inside[] = "as signed by the aggregator";
    struct site_set to = {.n = 2, .id = {3, 900}}, read = {0};
    uint8_t frame[RELAY_FRAME_HEAD_MAX + sizeof inside];
    const uint8_t *bytes = NULL;
    size_t frame_len = 0, len = 0;

    (void)state;
    relay_frame_make(&to, inside, sizeof inside, frame, &frame_len);
    assert_false(relay_is_letter(frame, frame_len));
    assert_int_equal(relay_frame_open(frame, frame_len, &read, &bytes, &len), CHOIR_OK);
    assert_int_equal(read.n, 2);
    assert_int_equal(read.id[1], 900);
    assert_int_equal(len, sizeof inside);
    assert_memory_equal(bytes, inside, len);
}

static void frames_for_nobody_or_in_disorder_are_malformed(void **state)
{
    static const uint8_t inside[] = "x";
    struct site_set to = {.n = 2, .id = {4, 3}}, read = {0};
    uint8_t frame[RELAY_FRAME_HEAD_MAX + sizeof inside];
    const uint8_t *bytes = NULL;
    size_t frame_len = 0, len = 0;

    (void)state;
    relay_frame_make(&to, inside, sizeof inside, frame, &frame_len);
    assert_int_equal(relay_frame_open(frame, frame_len, &read, &bytes, &len), CHOIR_ERR_FORMAT);
    to.n = 0;
    relay_frame_make(&to, inside, sizeof inside, frame, &frame_len);
    assert_int_equal(relay_frame_open(frame, frame_len, &read, &bytes, &len), CHOIR_ERR_FORMAT);
    to = (struct site_set){.n = 1, .id = {5}};
    relay_frame_make(&to, inside, 0, frame, &frame_len);
    assert_int_equal(relay_frame_open(frame, frame_len, &read, &bytes, &len), CHOIR_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_letter_comes_back_as_it_was),
        cmocka_unit_test(the_largest_letter_fits),
        cmocka_unit_test(a_letter_by_another_key_is_forged),
        cmocka_unit_test(an_unknown_relay_and_another_epoch_are_refused),
        cmocka_unit_test(fields_out_of_range_are_not_written),
        cmocka_unit_test(cut_letters_are_malformed),
        cmocka_unit_test(two_questions_differ_when_a_site_or_a_root_does),
        cmocka_unit_test(a_frame_names_its_receivers_and_leaves_the_letter_alone),
        cmocka_unit_test(frames_for_nobody_or_in_disorder_are_malformed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
