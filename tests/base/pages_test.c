#include "base/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void arrays_small_and_large_are_zero_and_can_be_freed(void **state)
{
    static const size_t sizes[] = {1, 4096, PAGES_LARGE - 1, PAGES_LARGE, PAGES_LARGE + 12345};

    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        uint8_t *bytes = pages_calloc(sizes[k], 1);

        assert_non_null(bytes);
        for (size_t i = 0; i < sizes[k]; i += i < 4096 ? 1 : 4096)
            assert_int_equal(bytes[i], 0);
        bytes[0] = 1;
        bytes[sizes[k] - 1] = 1;
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_small_and_large_are_zero_and_can_be_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
