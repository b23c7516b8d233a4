#include "aggregator/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MANY = 100, BEGIN_MS = 1000 };

static void only_so_many_go_on_at_once(void **state)
{
    struct turns turns = {.n = 0};
    struct turn turn[MANY] = {{.has = false}};

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(turns_take(&turns, &turn[i], BEGIN_MS), i < TURNS_MAX);
    for (size_t i = 0; i < MANY; i++) // those that have their turn keep it
        assert_int_equal(turns_take(&turns, &turn[i], BEGIN_MS + 1), i < TURNS_MAX);
}

static void who_is_done_makes_room(void **state)
{
    struct turns turns = {.n = 0};
    struct turn turn[MANY] = {{.has = false}};

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        (void)turns_take(&turns, &turn[i], BEGIN_MS);
    turns_end(&turns, &turn[3]);
    turns_end(&turns, &turn[3]); // once is enough
    assert_int_equal(turns.n, TURNS_MAX - 1);
    assert_true(turns_take(&turns, &turn[MANY - 1], BEGIN_MS));
    assert_false(turns_take(&turns, &turn[MANY - 2], BEGIN_MS));
}

static void who_makes_no_progress_goes_behind_the_others(void **state)
{
    struct turns turns = {.n = 0};
    struct turn turn[MANY] = {{.has = false}};
    const uint64_t later_ms = BEGIN_MS + TURN_IDLE_MS;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        (void)turns_take(&turns, &turn[i], BEGIN_MS);
    for (size_t i = 1; i < TURNS_MAX; i++)
        turns_news(&turn[i], later_ms - 1);
    assert_false(turns_take(&turns, &turn[0], later_ms));
    assert_true(turns_take(&turns, &turn[1], later_ms));
    assert_true(turns_take(&turns, &turn[MANY - 1], later_ms));
    turns_end(&turns, &turn[1]);
    assert_false(turns_take(&turns, &turn[0], later_ms + 1));
    assert_true(turns_take(&turns, &turn[0], later_ms + TURN_IDLE_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_so_many_go_on_at_once),
        cmocka_unit_test(who_is_done_makes_room),
        cmocka_unit_test(who_makes_no_progress_goes_behind_the_others),
    };

    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
