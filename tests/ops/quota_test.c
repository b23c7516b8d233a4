#include "ops/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_flood_gets_its_lines_once_in_a_window(void **state)
{
    struct quota quota = {0};
    uint64_t now_ms = 1000000;
    bool last;

    (void)state;
    for (int window = 0; window < 3; window++) {
        unsigned written = 0, said = 0;

        for (int i = 0; i < 5000; i++) {
            bool may = quota_take(&quota, now_ms + (uint64_t)i, &last);

            written += may ? 1 : 0;
            said += may && last ? 1 : 0;
        }
        assert_int_equal(written, QUOTA_LINES);
        assert_int_equal(said, 1);
        now_ms += QUOTA_WINDOW_MS;
    }
}

static void who_says_little_is_always_heard(void **state)
{
    struct quota quota = {0};
    bool last;

    (void)state;
    for (uint64_t now_ms = 0; now_ms < 1000000; now_ms += 200) {
        assert_true(quota_take(&quota, now_ms, &last));
        assert_false(last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_gets_its_lines_once_in_a_window),
        cmocka_unit_test(who_says_little_is_always_heard),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
