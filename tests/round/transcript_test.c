#include "round/transcript.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

// Printed by transcript_golden.py, which knows only wire/PROTOCOL.md.
static const char *const golden[4] = {
    "f9874338ddd5c088c39cb3a4b47eaa8aba3ba60106b3550811d9b7787062d3ee",
    "cc5409de4fb67e92c96fded986633377e6dbd4faba129c26c81aef38ef70c346",
    "d2e24f3ff7565f89e57b022f85e80412d215ed5e264d4d9774280d185bab59bb",
    "1260e21d2da4d1fd239a726f19c8b6afd4018ba2272f38d15b75ca1eef34964b",
};

static struct message message; // too large for the stack
static const uint32_t ids[3] = {1, 4, 70000};

static void fill(uint8_t *at, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(first + i);
}

static void golden_open(void)
{
    struct msg_round_open *open = &message.round_open;

    message.kind = MESSAGE_ROUND_OPEN;
    fill(open->run, MESSAGE_RUN_BYTES, 1);
    open->round = 7;
    open->attempt = 2;
    fill(open->model_hash, HASH_BYTES, 3);
    fill(open->plan_hash, HASH_BYTES, 4);
    open->n_parameters = 1000;
    open->lane_bits = 32;
    open->suite = 0;
    open->deadline_ms = 30000;
    open->threshold = 2;
    open->minimum = 3;
    open->log.size = 9;
    fill(open->log.root, HASH_BYTES, 5);
    fill(open->nonce, MESSAGE_NONCE_BYTES, 6);
    open->sites = (struct site_set){.n = 3, .id = {1, 4, 70000}};
}

// Adds the encoded `message` of the next site to the list.
static void say(struct said *said, const uint8_t *r2)
{
    uint8_t body[256];
    size_t len;

    if (message.kind == MESSAGE_MASKED) {
        message.masked = (struct msg_masked){
            .site = ids[said->n], .n_parameters = 1000, .lane_bits = 32, .bytes = 4008};
        memcpy(message.masked.r2, r2, HASH_BYTES);
        fill(message.masked.root, HASH_BYTES, (uint8_t)ids[said->n]);
    }
    assert_int_equal(message_encode(&message, body, sizeof body, &len), CHOIR_OK);
    said->id[said->n] = ids[said->n];
    hash_bytes(said->hash[said->n++], body, len);
}

static void assert_hash(const uint8_t *hash, const char *expected)
{
    char text[2 * HASH_BYTES + 1];

    hex_put(text, hash, HASH_BYTES);
    assert_string_equal(text, expected);
}

static void the_chain_is_what_an_independent_program_computes(void **state)
{
    static struct said said;
    static const enum message_kind kinds[4] = {MESSAGE_ROUND_OPEN, MESSAGE_ADVERTISE,
                                               MESSAGE_SHARES, MESSAGE_MASKED};
    uint8_t r[4][HASH_BYTES], roster[HASH_BYTES], body[256];
    size_t len;

    (void)state;
    golden_open();
    fill(roster, HASH_BYTES, 200);
    assert_int_equal(message_encode(&message, body, sizeof body, &len), CHOIR_OK);
    assert_int_equal(transcript_open(r[0], roster, body, len), CHOIR_OK);
    assert_hash(r[0], golden[0]);
    for (unsigned step = 1; step <= 3; step++) {
        memset(&message, 0, sizeof message);
        message.kind = kinds[step];
        said.n = 0;
        while (said.n < (step < 3 ? 3 : 2))
            say(&said, r[2]);
        assert_int_equal(transcript_next(r[step], step, r[step - 1], &said), CHOIR_OK);
        assert_hash(r[step], golden[step]);
    }
}

static void another_member_or_body_gives_another_hash(void **state)
{
    static struct said said = {.n = 2, .id = {1, 2}};
    uint8_t before[HASH_BYTES] = {0}, first[HASH_BYTES], second[HASH_BYTES];

    (void)state;
    assert_int_equal(transcript_next(first, 2, before, &said), CHOIR_OK);
    said.n = 1;
    assert_int_equal(transcript_next(second, 2, before, &said), CHOIR_OK);
    assert_memory_not_equal(first, second, HASH_BYTES);
    said.n = 2;
    said.hash[1][31] ^= 1;
    assert_int_equal(transcript_next(second, 2, before, &said), CHOIR_OK);
    assert_memory_not_equal(first, second, HASH_BYTES);
    said.hash[1][31] ^= 1;
    assert_int_equal(transcript_next(second, 3, before, &said), CHOIR_OK);
    assert_memory_not_equal(first, second, HASH_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_is_what_an_independent_program_computes),
        cmocka_unit_test(another_member_or_body_gives_another_hash),
    };

    return cmocka_run_group_tests_name("transcript", tests, NULL, NULL);
}
