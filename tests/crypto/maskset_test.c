#include "crypto/maskset.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/rng.h"

enum { N = 7, BYTES = 70000 / 4 * 4, HALF = BYTES / 8 * 4, SEGMENT = 3 };

static uint8_t seeds[N][MASK_SEED_BYTES], start_values[BYTES], expected[BYTES], made[BYTES];

static int start(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    rng_bytes(seeds, sizeof seeds);
    rng_bytes(start_values, sizeof start_values);
    return 0;
}

static enum mask_sign sign_of(size_t term)
{
    return term % 3 == 1 ? MASK_SUBTRACT : MASK_ADD;
}

static struct maskset *filled(uint16_t suite)
{
    struct maskset *set = NULL;

    assert_int_equal(maskset_new(suite, N, &set), CHOIR_OK);
    for (size_t i = 0; i < N; i++)
        maskset_add(set, sign_of(i), seeds[i]);
    assert_int_equal(maskset_count(set), N);
    assert_int_equal(maskset_suite(set), suite);
    return set;
}

// NULL if the crypto library lacks the suite; SM4 alone may be lacking.
static struct mask *open_suite(uint16_t suite)
{
    struct mask *mask = NULL;
    enum choir_err err = mask_open(suite, &mask);

    assert_true(err == CHOIR_OK || (err == CHOIR_ERR_REFUSED && suite == MASK_SM4));
    return mask;
}

static void term_by_term(struct mask *worker, unsigned lane_bits)
{
    memcpy(expected, start_values, BYTES);
    for (size_t i = 0; i < N; i++) {
        mask_begin(worker, seeds[i], SEGMENT);
        mask_apply(worker, sign_of(i), lane_bits, 0, expected, BYTES);
    }
}

static void a_set_is_the_sum_of_its_terms(void **state)
{
    (void)state;
    for (uint16_t suite = MASK_AES256; suite <= (uint16_t)MASK_SM4; suite++) {
        struct mask *worker = open_suite(suite);
        struct maskset *set = filled(suite);

        for (unsigned bits = 16; bits <= 32 && worker != NULL; bits += 16) {
            term_by_term(worker, bits);
            memcpy(made, start_values, BYTES);
            maskset_apply(set, worker, SEGMENT, bits, 0, made, BYTES);
            assert_memory_equal(made, expected, BYTES);
        }
        maskset_free(set);
        mask_close(worker);
    }
}

static void pieces_in_any_order_make_the_whole(void **state)
{
    struct mask *worker = open_suite(MASK_AES256);
    struct maskset *set = filled(MASK_AES256);
    static const size_t cuts[] = {0, 4, 1000, 4096, 33332, 33336, BYTES};
    enum { CUTS = sizeof cuts / sizeof cuts[0] };

    (void)state;
    for (unsigned bits = 16; bits <= 32; bits += 16) {
        term_by_term(worker, bits);
        memcpy(made, start_values, BYTES);
        for (size_t i = CUTS - 1; i > 0; i--)
            maskset_apply(set, worker, SEGMENT, bits, cuts[i - 1], made + cuts[i - 1],
                          cuts[i] - cuts[i - 1]);
        assert_memory_equal(made, expected, BYTES);
    }
    maskset_free(set);
    mask_close(worker);
}

static void segments_have_masks_of_their_own(void **state)
{
    struct mask *worker = open_suite(MASK_AES256);
    struct maskset *set = filled(MASK_AES256);

    (void)state;
    memset(expected, 0, BYTES);
    memset(made, 0, BYTES);
    maskset_apply(set, worker, 0, 32, 0, expected, BYTES);
    maskset_apply(set, worker, 1, 32, 0, made, BYTES);
    assert_memory_not_equal(made, expected, BYTES);
    maskset_free(set);
    mask_close(worker);
}

struct half {
    const struct maskset *set;
    size_t from, len;
};

static void *apply_half(void *argument)
{
    const struct half *half = argument;
    struct mask *worker = open_suite(MASK_CHACHA20);

    maskset_apply(half->set, worker, SEGMENT, 32, half->from, made + half->from, half->len);
    mask_close(worker);
    return NULL;
}

static void threads_share_a_set(void **state)
{
    struct maskset *set = filled(MASK_CHACHA20);
    struct mask *worker = open_suite(MASK_CHACHA20);
    struct half halves[2] = {{set, 0, HALF}, {set, HALF, BYTES - HALF}};
    pthread_t threads[2];

    (void)state;
    term_by_term(worker, 32);
    memcpy(made, start_values, BYTES);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, apply_half, &halves[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_memory_equal(made, expected, BYTES);
    maskset_free(set);
    mask_close(worker);
}

static void an_empty_set_changes_nothing(void **state)
{
    struct mask *worker = open_suite(MASK_AES256);
    struct maskset *set = NULL;

    (void)state;
    assert_int_equal(maskset_new(MASK_AES256, 1, &set), CHOIR_OK);
    memcpy(made, start_values, BYTES);
    maskset_apply(set, worker, 0, 32, 0, made, BYTES);
    assert_memory_equal(made, start_values, BYTES);
    maskset_free(set);
    maskset_free(NULL);
    mask_close(worker);
}

static void unknown_suites_are_refused(void **state)
{
    struct maskset *set = NULL;

    (void)state;
    assert_int_equal(maskset_new(0, 1, &set), CHOIR_ERR_REFUSED);
    assert_int_equal(maskset_new(MASK_SM4 + 1, 1, &set), CHOIR_ERR_REFUSED);
    assert_int_equal(maskset_new(MASK_AES256, SIZE_MAX, &set), CHOIR_ERR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_is_the_sum_of_its_terms),
        cmocka_unit_test(pieces_in_any_order_make_the_whole),
        cmocka_unit_test(segments_have_masks_of_their_own),
        cmocka_unit_test(threads_share_a_set),
        cmocka_unit_test(an_empty_set_changes_nothing),
        cmocka_unit_test(unknown_suites_are_refused),
    };

    return cmocka_run_group_tests_name("maskset", tests, start, NULL);
}
