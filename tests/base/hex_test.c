#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void every_byte_goes_there_and_back(void **state)
{
    uint8_t bytes[256], back[256];
    char text[2 * sizeof bytes + 1];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    hex_put(text, bytes, sizeof bytes);
    assert_int_equal(strlen(text), 2 * sizeof bytes);
    assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
    assert_int_equal(hex_get(back, sizeof back, text), CHOIR_OK);
    assert_memory_equal(back, bytes, sizeof bytes);
}

static void both_cases_are_read(void **state)
{
    uint8_t bytes[3];
    const uint8_t expected[] = {0xab, 0xcd, 0xef};

    (void)state;
    assert_int_equal(hex_get(bytes, sizeof bytes, "aBCdEf"), CHOIR_OK);
    assert_memory_equal(bytes, expected, sizeof bytes);
}

static void anything_else_is_malformed(void **state)
{
    static const char *const bad[] = {"",       "abcde",  "abcdef0", "abcdefab",
                                      "abcdeg", "0xabcd", "ab cde"};
    uint8_t bytes[3];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hex_get(bytes, sizeof bytes, bad[i]), CHOIR_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_goes_there_and_back),
        cmocka_unit_test(both_cases_are_read),
        cmocka_unit_test(anything_else_is_malformed),
    };

    return cmocka_run_group_tests_name("hex", tests, NULL, NULL);
}
