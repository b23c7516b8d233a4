#include "crypto/locked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/rng.h"

static int start(void **state)
{
    (void)state;
    return rng_start() == CHOIR_OK ? 0 : -1;
}

static void it_is_zero_and_aligned_whatever_its_size(void **state)
{
    (void)state;
    for (size_t size = 1; size < 20000; size = size * 3 + 1) {
        uint8_t *memory = locked_new(size);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 7, size);
        locked_free(memory);
    }
}

// Whether the kernel leaves the mapping that holds `address` out of core dumps.
static bool is_kept_out_of_dumps(uintptr_t address)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, kept = false;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        char *end = line;
        uintptr_t from = (uintptr_t)strtoull(line, &end, 16);

        if (end > line && *end == '-') // a mapping begins
            inside = address >= from && address < (uintptr_t)strtoull(end + 1, NULL, 16);
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            kept = strstr(line, " dd") != NULL;
    }
    (void)fclose(maps);
    return kept;
}

static void it_is_kept_out_of_core_dumps(void **state)
{
    void *memory = locked_new(100);
    int other = 0;

    (void)state;
    assert_non_null(memory);
    assert_true(is_kept_out_of_dumps((uintptr_t)memory));
    assert_false(is_kept_out_of_dumps((uintptr_t)&other));
    locked_free(memory);
}

static void nothing_can_be_freed(void **state)
{
    (void)state;
    locked_free(NULL);
    assert_null(locked_new(SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_zero_and_aligned_whatever_its_size),
        cmocka_unit_test(it_is_kept_out_of_core_dumps),
        cmocka_unit_test(nothing_can_be_freed),
    };

    return cmocka_run_group_tests_name("locked", tests, start, NULL);
}
