#include "crypto/sharebox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/rng.h"

static uint8_t key[AGREE_SECRET_BYTES], r1[HASH_BYTES];
static uint8_t pair[SHAREBOX_PAIR_BYTES], box[SHAREBOX_BYTES];

static int seal_one(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    rng_bytes(key, sizeof key);
    rng_bytes(r1, sizeof r1);
    rng_bytes(pair, sizeof pair);
    sharebox_seal(box, pair, key, r1, 3, 70000);
    return 0;
}

// Opens the box for (from, to) and sees that a failure writes nothing.
static enum choir_err open_for(uint32_t from, uint32_t to)
{
    static const uint8_t untouched[SHAREBOX_PAIR_BYTES] = {1};
    uint8_t opened[SHAREBOX_PAIR_BYTES] = {1};
    enum choir_err err = sharebox_open(opened, box, key, r1, from, to);

    assert_memory_equal(opened, err == CHOIR_OK ? pair : untouched, sizeof opened);
    return err;
}

static void the_receiver_opens_what_was_sealed(void **state)
{
    (void)state;
    assert_int_equal(open_for(3, 70000), CHOIR_OK);
}

static void another_sender_receiver_or_direction_opens_nothing(void **state)
{
    (void)state;
    assert_int_equal(open_for(4, 70000), CHOIR_ERR_FORGED);
    assert_int_equal(open_for(3, 70001), CHOIR_ERR_FORGED);
    assert_int_equal(open_for(70000, 3), CHOIR_ERR_FORGED);
}

static void another_round_or_key_opens_nothing(void **state)
{
    (void)state;
    r1[31] ^= 1;
    assert_int_equal(open_for(3, 70000), CHOIR_ERR_FORGED);
    r1[31] ^= 1;
    key[0] ^= 1;
    assert_int_equal(open_for(3, 70000), CHOIR_ERR_FORGED);
}

static void every_changed_bit_is_found(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof box; bit++) {
        box[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(open_for(3, 70000), CHOIR_ERR_FORGED);
        box[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void the_shares_are_not_readable_in_the_box(void **state)
{
    (void)state;
    assert_null(memmem(box, sizeof box, pair, 4));
}

#define TEST(f) cmocka_unit_test_setup(f, seal_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_receiver_opens_what_was_sealed),
        TEST(another_sender_receiver_or_direction_opens_nothing),
        TEST(another_round_or_key_opens_nothing),
        TEST(every_changed_bit_is_found),
        TEST(the_shares_are_not_readable_in_the_box),
    };

    return cmocka_run_group_tests_name("sharebox", tests, NULL, NULL);
}
