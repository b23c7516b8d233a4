#include "train/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5 };

static const uint8_t plan[HASH_BYTES] = {7};

static void make(uint8_t bytes[static SNAPSHOT_HEAD_BYTES + 4 * N])
{
    static const float params[N] = {0.0F, -1.5F, 3.25F, 1e-30F, 7.0F};

    snapshot_head(bytes, plan, 12, N);
    snapshot_put(bytes + SNAPSHOT_HEAD_BYTES, params, N);
}

static void a_snapshot_reads_back_bit_for_bit(void **state)
{
    uint8_t bytes[SNAPSHOT_HEAD_BYTES + 4 * N], again[sizeof bytes];
    float params[N];
    uint64_t round_no = 0;

    (void)state;
    make(bytes);
    assert_int_equal(snapshot_get(bytes, sizeof bytes, plan, N, params, &round_no), CHOIR_OK);
    assert_int_equal(round_no, 12);
    snapshot_head(again, plan, round_no, N);
    snapshot_put(again + SNAPSHOT_HEAD_BYTES, params, N);
    assert_memory_equal(bytes, again, sizeof bytes);
}

static void a_cut_snapshot_is_refused_at_every_byte(void **state)
{
    uint8_t bytes[SNAPSHOT_HEAD_BYTES + 4 * N];
    float params[N];
    uint64_t round_no = 0;

    (void)state;
    make(bytes);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(snapshot_get(bytes, len, plan, N, params, &round_no), CHOIR_ERR_FORMAT);
}

static void a_snapshot_of_another_plan_or_with_nan_is_refused(void **state)
{
    uint8_t bytes[SNAPSHOT_HEAD_BYTES + 4 * N];
    const uint8_t other[HASH_BYTES] = {8};
    float params[N];
    uint64_t round_no = 0;

    (void)state;
    make(bytes);
    assert_int_equal(snapshot_get(bytes, sizeof bytes, other, N, params, &round_no),
                     CHOIR_ERR_FORMAT);
    memset(bytes + SNAPSHOT_HEAD_BYTES, 0xff, 4);
    assert_int_equal(snapshot_get(bytes, sizeof bytes, plan, N, params, &round_no),
                     CHOIR_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_reads_back_bit_for_bit),
        cmocka_unit_test(a_cut_snapshot_is_refused_at_every_byte),
        cmocka_unit_test(a_snapshot_of_another_plan_or_with_nan_is_refused),
    };

    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
