#include "train/blas.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cblas.h>

// Both are exported by OpenBLAS builds that choose their kernels at run time.
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
// Ends the worker threads that the library starts when it is loaded.
// NOLINTNEXTLINE(readability-identifier-naming): the library's name
extern int blas_thread_shutdown_(void) __attribute__((weak));

enum { TEST_SIZE = 256, TEST_RUNS = 5 };

static bool started, repaired;

enum ability { ABILITY_BASE, ABILITY_AVX2, ABILITY_AVX512 };

// What the processor and the operating system support together; gcc's test reads CPUID, XCR0.
static enum ability processor_ability(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma"))
        return ABILITY_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return ABILITY_AVX2;
#endif
    return ABILITY_BASE;
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

// The kernels the processor could run if those in use are below it, else NULL.
static const char *better_kernels(void)
{
    static const char *const avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    static const char *const avx2[] = {"Haswell", "Zen", "Excavator"};
    const char *now = blas_kernel_name();
    enum ability ability = processor_ability();

    // cppcheck-suppress knownConditionTrueFalse // it does not see the processor
    if (ability == ABILITY_BASE || is_one_of(now, avx512, sizeof avx512 / sizeof *avx512))
        return NULL;
    if (ability == ABILITY_AVX512)
        return "SkylakeX";
    return is_one_of(now, avx2, sizeof avx2 / sizeof *avx2) ? NULL : "Haswell";
}

void blas_start(void)
{
    const char *better;

    if (started)
        return;
    started = true;
    better = gotoblas_dynamic_init != NULL && gotoblas_dynamic_quit != NULL &&
                     getenv("OPENBLAS_CORETYPE") == NULL // NOLINT(concurrency-mt-unsafe)
                 ? better_kernels()
                 : NULL;
    if (better != NULL) {
        gotoblas_dynamic_quit();
        (void)setenv("OPENBLAS_CORETYPE", better, 1); // NOLINT(concurrency-mt-unsafe)
        gotoblas_dynamic_init();
        (void)unsetenv("OPENBLAS_CORETYPE"); // NOLINT(concurrency-mt-unsafe)
        repaired = true;
    }
    openblas_set_num_threads(1);
    if (blas_thread_shutdown_ != NULL)
        (void)blas_thread_shutdown_();
}

const char *blas_kernel_name(void)
{
    const char *name = openblas_get_corename();

    return name != NULL ? name : "unknown";
}

bool blas_was_repaired(void)
{
    return repaired;
}

void blas_sgemm(struct blas_product shape, const float *a, const float *b, float beta, float *c)
{
    size_t a_width = shape.a_transposed ? shape.m : shape.k;
    size_t b_width = shape.b_transposed ? shape.k : shape.n;

    cblas_sgemm(CblasRowMajor, shape.a_transposed ? CblasTrans : CblasNoTrans,
                shape.b_transposed ? CblasTrans : CblasNoTrans, (blasint)shape.m, (blasint)shape.n,
                (blasint)shape.k, 1.0F, a, (blasint)(shape.a_width > 0 ? shape.a_width : a_width),
                b, (blasint)(shape.b_width > 0 ? shape.b_width : b_width), beta, c,
                (blasint)shape.n);
}

// Kernels for AVX2 have tiles of several shapes that round in different orders.
size_t blas_steady_rows(void)
{
    static const char *const even[] = {"SkylakeX", "Prescott", "Nehalem", "Sandybridge"};

    return is_one_of(blas_kernel_name(), even, sizeof even / sizeof *even) ? 64 : 8;
}

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double blas_self_test(void)
{
    struct blas_product cube = {.m = TEST_SIZE, .n = TEST_SIZE, .k = TEST_SIZE};
    size_t n = (size_t)TEST_SIZE * TEST_SIZE;
    float *work = calloc(3 * n, sizeof *work);
    double fastest = 0.0;

    if (work == NULL)
        return 0.0;
    for (size_t i = 0; i < 2 * n; i++)
        work[i] = (float)(i % 17) - 8.0F;
    for (int run = 0; run < TEST_RUNS; run++) {
        double seconds, begin = cpu_seconds();

        for (int i = 0; i < 4; i++)
            blas_sgemm(cube, work, work + n, 0.0F, work + 2 * n);
        seconds = (cpu_seconds() - begin) / 4.0;
        if (fastest <= 0.0 || seconds < fastest)
            fastest = seconds;
    }
    free(work);
    return fastest > 0.0 ? 2e-9 * TEST_SIZE * TEST_SIZE * TEST_SIZE / fastest : 0.0;
}
