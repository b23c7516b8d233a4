#include "round/quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void thresholds_are_those_of_the_table(void **state)
{
    // n, c, T: reference table of SA1 (c = 0, c = n / 10, c = n / 5, c = (n - 1) / 3)
    static const uint32_t rows[][3] = {
        {4, 0, 3},  {4, 1, 3},   {5, 0, 3},   {5, 1, 4},    {7, 0, 4},     {7, 2, 5},   {10, 3, 7},
        {10, 1, 6}, {20, 6, 14}, {30, 9, 20}, {50, 16, 34}, {100, 33, 67}, {100, 0, 51}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(quorum_threshold(rows[i][0], rows[i][1]), rows[i][2]);
}

static void two_survivor_sets_can_never_both_be_opened(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 1000; n++) {
        for (uint32_t c = 0; c <= n / 3; c++) {
            uint32_t t = quorum_threshold(n, c);

            // two sets of T consents share more than c sites, so at least one honest site
            assert_true(2 * t - n > c);
            assert_true(2 * (t - 1) <= n + c); // and no smaller T does
        }
    }
}

static void the_minimum_is_the_largest_of_what_is_asked(void **state)
{
    (void)state;
    assert_int_equal(quorum_minimum(4, 0, 1, false), 3);
    assert_int_equal(quorum_minimum(7, 2, 1, false), 5);
    assert_int_equal(quorum_minimum(10, 3, 8, false), 8);
    assert_int_equal(quorum_minimum(2, 0, 1, false), 2); // fewer than c + 3: all of them
    assert_int_equal(quorum_minimum(1, 0, 1, false), 1);
    assert_int_equal(quorum_minimum(2, 0, 3, false), 3); // cannot be met: the run waits
}

static void with_masks_on_fewer_than_c_and_three_sites_are_too_few(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 333; c++)
        for (uint32_t n = 1; n <= 3 * c + 3; n++) {
            uint32_t minimum = quorum_minimum(n, c, 1, true);

            assert_true(minimum >= c + 3 && minimum >= quorum_threshold(n, c));
            assert_true(n >= c + 3 || minimum > n); // no round of n sites can be opened
        }
    assert_int_equal(quorum_minimum(3, 0, 1, true), 3);
    assert_int_equal(quorum_minimum(10, 3, 8, true), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_are_those_of_the_table),
        cmocka_unit_test(two_survivor_sets_can_never_both_be_opened),
        cmocka_unit_test(the_minimum_is_the_largest_of_what_is_asked),
        cmocka_unit_test(with_masks_on_fewer_than_c_and_three_sites_are_too_few),
    };

    return cmocka_run_group_tests_name("quorum", tests, NULL, NULL);
}
