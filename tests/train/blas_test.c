#include "train/blas.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/train/near.h"

// a is [2 x 3], b is [3 x 2]; the product is worked out by hand.
static const float a[] = {1, 2, 3, 4, 5, 6}, a_turned[] = {1, 4, 2, 5, 3, 6};
static const float b[] = {7, 8, 9, 10, 11, 12}, b_turned[] = {7, 9, 11, 8, 10, 12};
static const double product[] = {58, 64, 139, 154};

static void all_four_ways_of_storing_give_the_product(void **state)
{
    struct blas_product shape = {.m = 2, .n = 2, .k = 3};
    float c[4];

    (void)state;
    blas_start();
    blas_sgemm(shape, a, b, 0.0F, c);
    assert_true(are_near(c, product, 4, 0.0));
    shape.a_transposed = true;
    blas_sgemm(shape, a_turned, b, 0.0F, c);
    assert_true(are_near(c, product, 4, 0.0));
    shape.b_transposed = true;
    blas_sgemm(shape, a_turned, b_turned, 0.0F, c);
    assert_true(are_near(c, product, 4, 0.0));
    blas_sgemm(shape, a_turned, b_turned, 1.0F, c);
    assert_true(is_near((double)c[3], 308.0, 0.0));
}

static void a_part_of_a_wider_matrix_is_taken(void **state)
{
    // The last two columns of a_turned's transpose: rows of a from the second number on.
    struct blas_product shape = {.m = 2, .n = 2, .k = 2, .a_width = 3};
    float c[4];

    (void)state;
    blas_sgemm(shape, a + 1, b + 2, 0.0F, c);
    assert_true(are_near(c, (const double[]){51, 56, 111, 122}, 4, 0.0));
}

static void the_kernels_are_known_and_as_fast_as_the_processor_allows(void **state)
{
    (void)state;
    blas_start();
    assert_true(strlen(blas_kernel_name()) > 0);
    assert_true(blas_self_test() > 0.0);
#if defined(__x86_64__)
    if (getenv("OPENBLAS_CORETYPE") == NULL && // NOLINT(concurrency-mt-unsafe)
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        assert_string_not_equal(blas_kernel_name(), "Prescott");
#endif
    print_message("# kernels %s%s\n", blas_kernel_name(), blas_was_repaired() ? ", repaired" : "");
}

static void the_library_keeps_no_thread_of_its_own(void **state)
{
    size_t n_threads = 0;
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;

    (void)state;
    if (folder == NULL) {
        skip();
        return;
    }
    blas_start();
    while ((entry = readdir(folder)) != NULL) // NOLINT(concurrency-mt-unsafe)
        n_threads += entry->d_name[0] != '.' ? 1 : 0;
    assert_int_equal(closedir(folder), 0);
    assert_int_equal(n_threads, 1);
}

static uint32_t word = 1;

static float next_float(void)
{
    word = word * 1664525U + 1013904223U;
    return (float)(word >> 8) / 16777216.0F - 0.5F;
}

// All rows of a are equal, so all rows of c must be.
static void expect_equal_rows(size_t n, size_t k, bool b_transposed)
{
    size_t m = blas_steady_rows();
    struct blas_product shape = {.m = m, .n = n, .k = k, .b_transposed = b_transposed};
    float *left = calloc(m * k, sizeof *left), *right = calloc(k * n, sizeof *right);
    float *c = calloc(m * n, sizeof *c);

    for (size_t i = 0; i < k * n; i++)
        right[i] = next_float();
    for (size_t i = 0; i < m * k; i++)
        left[i] = i < k ? next_float() : left[i - k];
    blas_sgemm(shape, left, right, 0.0F, c);
    for (size_t i = 1; i < m; i++)
        assert_memory_equal(c, c + i * n, n * sizeof *c);
    free(left);
    free(right);
    free(c);
}

static void rows_do_not_depend_on_their_place(void **state)
{
    static const size_t sides[] = {1, 2, 3, 8, 10, 16, 23, 30, 64, 100, 256, 784};

    (void)state;
    blas_start();
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        for (size_t j = 0; j < sizeof sides / sizeof *sides; j++) {
            expect_equal_rows(sides[i], sides[j], false);
            expect_equal_rows(sides[i], sides[j], true);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_four_ways_of_storing_give_the_product),
        cmocka_unit_test(a_part_of_a_wider_matrix_is_taken),
        cmocka_unit_test(rows_do_not_depend_on_their_place),
        cmocka_unit_test(the_library_keeps_no_thread_of_its_own),
        cmocka_unit_test(the_kernels_are_known_and_as_fast_as_the_processor_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
