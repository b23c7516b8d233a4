#include "round/sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/rng.h"

enum { SITES_MAX = 11, BYTES_MAX = 5 * 16384 + 4 * 33, SEGMENT = 3, OFFSET = 1 << 18 };

/* Vectors in memory whose segment stands at OFFSET; counts what is read. */
struct shelf {
    uint8_t *vector[SITES_MAX];
    size_t n, len;
    size_t broken; // this one cannot be read; n: all can
    size_t longest_read;
};

// Any numbers will do, as long as lanes wrap.
static uint64_t next_number(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 32;
}

static void fill(struct shelf *shelf, size_t n, size_t len)
{
    uint64_t state = n * 1000 + len;

    memset(shelf, 0, sizeof *shelf);
    shelf->n = shelf->broken = n;
    shelf->len = len;
    for (size_t i = 0; i < n; i++) {
        shelf->vector[i] = malloc(len + 1);
        assert_non_null(shelf->vector[i]);
        for (size_t k = 0; k < len; k++)
            shelf->vector[i][k] = (uint8_t)next_number(&state);
    }
}

static void empty(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->n; i++)
        free(shelf->vector[i]);
}

static enum choir_err read_shelf(void *context, size_t i, uint64_t offset, uint8_t *to, size_t len)
{
    struct shelf *shelf = context;

    assert_true(i < shelf->n);
    assert_true(offset >= OFFSET && offset - OFFSET + len <= shelf->len);
    if (len > shelf->longest_read)
        shelf->longest_read = len;
    memcpy(to, shelf->vector[i] + (offset - OFFSET), len);
    return i == shelf->broken ? CHOIR_ERR_IO : CHOIR_OK;
}

// One lane after the other, one vector after the other.
static void add_plainly(const struct shelf *shelf, unsigned lane_bits, uint8_t *total)
{
    memset(total, 0, shelf->len);
    for (size_t i = 0; i < shelf->n; i++) {
        const uint8_t *vector = shelf->vector[i];

        for (size_t k = 0; k < shelf->len; k += lane_bits / 8) {
            if (lane_bits == 32)
                put_u32(total + k, get_u32(total + k) + get_u32(vector + k));
            else
                put_u16(total + k, (uint16_t)(get_u16(total + k) + get_u16(vector + k)));
        }
    }
}

static void every_number_of_vectors_and_every_length_adds_up(void **state)
{
    static const size_t lengths[] = {0, 4, 252, 256, 260, 16380, 16384, 16388, BYTES_MAX};
    static uint8_t plain[BYTES_MAX], total[BYTES_MAX];

    (void)state;
    for (unsigned lane_bits = 16; lane_bits <= 32; lane_bits += 16) {
        for (size_t n = 0; n <= SITES_MAX; n++) {
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
                struct shelf shelf;
                struct sum_source source = {.read = read_shelf, .context = &shelf, .n = n};
                struct sum *sum = NULL;

                fill(&shelf, n, lengths[l]);
                add_plainly(&shelf, lane_bits, plain);
                sum_parts(lane_bits, (const uint8_t *const *)shelf.vector, n, total, lengths[l]);
                assert_memory_equal(total, plain, lengths[l]);
                memset(total, 0xee, sizeof total);
                assert_int_equal(sum_open(NULL, lane_bits, &sum), CHOIR_OK);
                assert_int_equal(sum_segment(sum, &source, SEGMENT, OFFSET, total, lengths[l]),
                                 CHOIR_OK);
                assert_memory_equal(total, plain, lengths[l]);
                assert_true(shelf.longest_read <= 16384); // memory does not grow with the vectors
                sum_close(sum);
                empty(&shelf);
            }
        }
    }
}

static void seed_of(uint8_t seed[static MASK_SEED_BYTES], unsigned i, unsigned j)
{
    memset(seed, 0, MASK_SEED_BYTES);
    seed[0] = (uint8_t)(i + 1);
    seed[1] = (uint8_t)(j + 1);
}

// Site i adds its own mask, those it has with later sites, and subtracts those with earlier ones.
static void mask_vector(struct mask *mask, uint8_t *vector, size_t len, unsigned lane_bits,
                        unsigned i, unsigned n)
{
    uint8_t seed[MASK_SEED_BYTES];

    for (unsigned j = 0; j < n; j++) {
        seed_of(seed, i < j ? i : j, i < j ? j : i);
        mask_begin(mask, seed, SEGMENT);
        mask_apply(mask, j < i ? MASK_SUBTRACT : MASK_ADD, lane_bits, 0, vector, len);
    }
}

// What takes the masks out of a sum from which the last `lost` of n sites are missing.
static struct maskset *unmasking(uint16_t suite, unsigned n, unsigned lost)
{
    struct maskset *set = NULL;
    uint8_t seed[MASK_SEED_BYTES];

    assert_int_equal(maskset_new(suite, (size_t)n * n, &set), CHOIR_OK);
    for (unsigned i = 0; i < n - lost; i++) {
        seed_of(seed, i, i);
        maskset_add(set, MASK_SUBTRACT, seed);
        for (unsigned j = n - lost; j < n; j++) { // site i added it, as j comes later
            seed_of(seed, i, j);
            maskset_add(set, MASK_SUBTRACT, seed);
        }
    }
    return set;
}

static void the_sum_of_masked_vectors_is_that_of_the_plain_ones(void **state)
{
    enum { N = 7, LOST = 2 };
    static const uint16_t suites[] = {MASK_AES256, MASK_CHACHA20};
    static uint8_t plain[BYTES_MAX], total[BYTES_MAX];

    (void)state;
    for (unsigned lane_bits = 16; lane_bits <= 32; lane_bits += 16) {
        for (size_t k = 0; k < sizeof suites / sizeof suites[0]; k++) {
            const uint16_t suite = suites[k];
            struct shelf shelf;
            struct sum_source source = {.read = read_shelf, .context = &shelf, .n = N - LOST};
            struct maskset *unmask = unmasking(suite, N, LOST);
            struct mask *mask = NULL;
            struct sum *sum = NULL;

            fill(&shelf, N - LOST, BYTES_MAX);
            add_plainly(&shelf, lane_bits, plain);
            assert_int_equal(mask_open(suite, &mask), CHOIR_OK);
            for (unsigned i = 0; i < N - LOST; i++)
                mask_vector(mask, shelf.vector[i], BYTES_MAX, lane_bits, i, N);
            assert_int_equal(sum_open(unmask, lane_bits, &sum), CHOIR_OK);
            assert_int_equal(sum_segment(sum, &source, SEGMENT, OFFSET, total, BYTES_MAX),
                             CHOIR_OK);
            assert_memory_equal(total, plain, BYTES_MAX);
            // another segment has other masks
            assert_int_equal(sum_segment(sum, &source, SEGMENT + 1, OFFSET, total, BYTES_MAX),
                             CHOIR_OK);
            assert_memory_not_equal(total, plain, BYTES_MAX);
            sum_close(sum);
            mask_close(mask);
            maskset_free(unmask);
            empty(&shelf);
        }
    }
}

static void a_vector_that_cannot_be_read_is_said(void **state)
{
    static uint8_t total[BYTES_MAX];

    (void)state;
    for (size_t broken = 0; broken < 6; broken++) {
        struct shelf shelf;
        struct sum_source source = {.read = read_shelf, .context = &shelf, .n = 6};
        struct sum *sum = NULL;

        fill(&shelf, 6, BYTES_MAX);
        shelf.broken = broken;
        assert_int_equal(sum_open(NULL, 32, &sum), CHOIR_OK);
        assert_int_equal(sum_segment(sum, &source, SEGMENT, OFFSET, total, BYTES_MAX),
                         CHOIR_ERR_IO);
        sum_close(sum);
        empty(&shelf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_vectors_and_every_length_adds_up),
        cmocka_unit_test(the_sum_of_masked_vectors_is_that_of_the_plain_ones),
        cmocka_unit_test(a_vector_that_cannot_be_read_is_said),
    };

    if (rng_start() != CHOIR_OK)
        return 1;
    return cmocka_run_group_tests_name("sum", tests, NULL, NULL);
}
