#include "aggregator/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/rng.h"

enum { SITES = 5, VALUES = 9 * QUANTIZE_SEGMENT_VALUES + 1000, BROKEN_AT = 4 };

static struct quantize_layout layout;
static uint8_t *vector[SITES]; // [layout.n_bytes]

/* What `take` saw. */
struct taken {
    uint8_t *sum;        // [layout.n_bytes]
    atomic_int seen[10]; // how often each segment was handed over
    size_t forged;       // this segment and all after it are refused
    size_t threads;
};

static enum choir_err take(void *context, size_t worker, size_t segment, const uint8_t *total,
                           size_t len)
{
    struct taken *taken = context;

    assert_true(worker < taken->threads);
    assert_int_equal(len, quantize_segment_bytes(&layout, segment));
    atomic_fetch_add(&taken->seen[segment], 1);
    memcpy(taken->sum + quantize_segment_offset(&layout, segment), total, len);
    return segment >= taken->forged ? CHOIR_ERR_FORGED : CHOIR_OK;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(quantize_layout_make(VALUES, 32, SITES, 1.0, &layout), CHOIR_OK);
    assert_int_equal(layout.n_segments, 10);
    for (size_t i = 0; i < SITES; i++) {
        vector[i] = malloc(layout.n_bytes);
        assert_non_null(vector[i]);
        rng_bytes(vector[i], layout.n_bytes);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < SITES; i++)
        free(vector[i]);
    return 0;
}

static enum choir_err read_memory(void *context, size_t i, uint64_t offset, uint8_t *to, size_t len)
{
    const size_t *broken = context; // segments from here on cannot be read of the last vector

    if (i == SITES - 1 && offset >= quantize_segment_offset(&layout, *broken))
        return CHOIR_ERR_IO;
    memcpy(to, vector[i] + offset, len);
    return CHOIR_OK;
}

static struct merge_job job_over(struct taken *taken, size_t *broken, size_t threads)
{
    memset(taken, 0, sizeof *taken);
    taken->sum = calloc(1, layout.n_bytes);
    assert_non_null(taken->sum);
    taken->forged = layout.n_segments;
    taken->threads = threads;
    *broken = layout.n_segments - 1;
    return (struct merge_job){.layout = &layout,
                              .source = {.read = read_memory, .context = broken, .n = SITES - 1},
                              .threads = threads,
                              .take = take,
                              .context = taken};
}

static void the_sum_does_not_depend_on_the_number_of_threads(void **state)
{
    uint8_t *expected = calloc(1, layout.n_bytes);
    uint8_t expected_hash[HASH_BYTES], hash[HASH_BYTES];
    struct choir_diag diag = {0};

    (void)state;
    assert_non_null(expected);
    for (size_t i = 0; i + 1 < SITES; i++)
        quantize_add(32, expected, vector[i], layout.n_bytes);
    hash_bytes(expected_hash, expected, layout.n_bytes);
    for (size_t threads = 1; threads <= MERGE_THREADS_MAX; threads++) {
        struct taken taken;
        size_t broken;
        struct merge_job job = job_over(&taken, &broken, threads);

        assert_int_equal(merge_run(&job, hash, &diag), CHOIR_OK);
        assert_memory_equal(hash, expected_hash, HASH_BYTES);
        assert_memory_equal(taken.sum, expected, layout.n_bytes);
        for (size_t s = 0; s < layout.n_segments; s++)
            assert_int_equal(taken.seen[s], 1);
        free(taken.sum);
    }
    free(expected);
}

static void masks_are_taken_out_whatever_the_number_of_threads(void **state)
{
    static const uint8_t seed[MASK_SEED_BYTES] = {1, 2, 3};
    uint8_t plain_hash[HASH_BYTES], hash[HASH_BYTES];
    struct choir_diag diag = {0};
    struct maskset *unmask = NULL;
    struct mask *mask = NULL;
    struct taken taken;
    size_t broken;
    struct merge_job job = job_over(&taken, &broken, 1);

    (void)state;
    assert_int_equal(merge_run(&job, plain_hash, &diag), CHOIR_OK);
    free(taken.sum);
    assert_int_equal(mask_open(MASK_AES256, &mask), CHOIR_OK);
    assert_int_equal(maskset_new(MASK_AES256, 1, &unmask), CHOIR_OK);
    maskset_add(unmask, MASK_SUBTRACT, seed);
    for (size_t s = 0; s < layout.n_segments; s++) {
        mask_begin(mask, seed, (uint32_t)s);
        mask_apply(mask, MASK_ADD, 32, 0, vector[0] + quantize_segment_offset(&layout, s),
                   quantize_segment_bytes(&layout, s));
    }
    for (size_t threads = 1; threads <= 4; threads++) {
        job = job_over(&taken, &broken, threads);
        job.unmask = unmask;
        assert_int_equal(merge_run(&job, hash, &diag), CHOIR_OK);
        assert_memory_equal(hash, plain_hash, HASH_BYTES);
        free(taken.sum);
    }
    maskset_free(unmask);
    mask_close(mask);
}

static void the_first_segment_that_is_wrong_is_the_one_named(void **state)
{
    uint8_t hash[HASH_BYTES];

    (void)state;
    for (size_t threads = 1; threads <= 8; threads++) {
        struct choir_diag diag = {0};
        struct taken taken;
        size_t broken;
        struct merge_job job = job_over(&taken, &broken, threads);

        taken.forged = BROKEN_AT;
        assert_int_equal(merge_run(&job, hash, &diag), CHOIR_ERR_FORGED);
        assert_string_equal(diag.place, "segment 5 of 10");
        free(taken.sum);

        job = job_over(&taken, &broken, threads);
        job.source.n = SITES;
        broken = BROKEN_AT + 1;
        assert_int_equal(merge_run(&job, hash, &diag), CHOIR_ERR_IO);
        assert_string_equal(diag.place, "segment 6 of 10");
        free(taken.sum);
    }
}

static void each_vector_has_its_digest(void **state)
{
    uint8_t digests[SITES][HASH_BYTES], digest[HASH_BYTES];
    int fds[SITES];
    struct merge_files files = {.fds = fds};
    struct sum_source source = {.read = merge_read_files, .context = &files, .n = SITES};

    (void)state;
    for (size_t i = 0; i < SITES; i++) {
        FILE *file = tmpfile();

        assert_non_null(file);
        assert_int_equal(fwrite(vector[i], 1, layout.n_bytes, file), layout.n_bytes);
        assert_int_equal(fflush(file), 0);
        fds[i] = dup(fileno(file));
        fclose(file);
    }
    for (size_t threads = 1; threads <= SITES + 1; threads += SITES) {
        assert_int_equal(merge_digests(&source, layout.n_bytes, threads, digests), CHOIR_OK);
        for (size_t i = 0; i < SITES; i++) {
            hash_bytes(digest, vector[i], layout.n_bytes);
            assert_memory_equal(digests[i], digest, HASH_BYTES);
        }
    }
    // a file that is too short cannot be read
    assert_int_equal(merge_digests(&source, layout.n_bytes + 1, 2, digests), CHOIR_ERR_IO);
    for (size_t i = 0; i < SITES; i++)
        close(fds[i]);
}

static void the_processors_are_counted(void **state)
{
    (void)state;
    assert_in_range(merge_threads(), 1, MERGE_THREADS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_does_not_depend_on_the_number_of_threads),
        cmocka_unit_test(masks_are_taken_out_whatever_the_number_of_threads),
        cmocka_unit_test(the_first_segment_that_is_wrong_is_the_one_named),
        cmocka_unit_test(each_vector_has_its_digest),
        cmocka_unit_test(the_processors_are_counted),
    };

    if (rng_start() != CHOIR_OK)
        return 1;
    return cmocka_run_group_tests_name("merge", tests, set_up, tear_down);
}
