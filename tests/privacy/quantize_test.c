#include "privacy/quantize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

enum { VALUES = QUANTIZE_SEGMENT_VALUES + 1000, SITES = 3 };

static struct quantize_layout layout_of(size_t n_values, uint32_t lane_bits, uint32_t n_sites,
                                        double bound)
{
    struct quantize_layout layout = {0};

    assert_int_equal(quantize_layout_make(n_values, lane_bits, n_sites, bound, &layout), CHOIR_OK);
    return layout;
}

static void a_segment_of_32_bit_lanes_is_one_chunk(void **state)
{
    struct quantize_layout layout = layout_of(VALUES, 32, 4, 10.0);

    (void)state;
    assert_int_equal(layout.n_segments, 2);
    assert_int_equal(layout.n_lanes, VALUES + 2);
    assert_int_equal(layout.n_bytes, 4 * (VALUES + 2));
    assert_int_equal(quantize_segment_bytes(&layout, 0), 262144);
    assert_int_equal(quantize_segment_values(&layout, 1), 1000);
    assert_int_equal(quantize_segment_first(&layout, 1), QUANTIZE_SEGMENT_VALUES);
    assert_int_equal(quantize_segment_offset(&layout, 1) + quantize_segment_bytes(&layout, 1),
                     layout.n_bytes);
}

static void a_full_last_segment_needs_no_further_one(void **state)
{
    struct quantize_layout layout = layout_of(QUANTIZE_SEGMENT_VALUES, 16, 4, 1.0);

    (void)state;
    assert_int_equal(layout.n_segments, 1);
    assert_int_equal(layout.n_bytes, 131072);
}

static void the_scale_is_the_largest_that_cannot_wrap(void **state)
{
    (void)state;
    // 4 * 10 * 2^25 = 1.34e9 < 2^31 < 4 * 10 * 2^26
    assert_int_equal(layout_of(1, 32, 4, 10.0).frac_bits, 25);
    // 4 * 1 * 2^12 = 2^14 < 2^15, and at 13 bits it would be 2^15
    assert_int_equal(layout_of(1, 16, 4, 1.0).frac_bits, 12);
    assert_int_equal(layout_of(1, 32, 1, 1e-9).frac_bits, QUANTIZE_MAX_FRAC_BITS);
}

static void a_scale_too_coarse_or_out_of_range_is_refused(void **state)
{
    struct quantize_layout layout;

    (void)state;
    assert_int_equal(quantize_layout_make(1, 16, 1000, 3.0, &layout), CHOIR_ERR_REFUSED);
    assert_int_equal(quantize_layout_make(1, 24, 4, 1.0, &layout), CHOIR_ERR_FORMAT);
    assert_int_equal(quantize_layout_make(0, 32, 4, 1.0, &layout), CHOIR_ERR_FORMAT);
    assert_int_equal(quantize_layout_make(1, 32, 0, 1.0, &layout), CHOIR_ERR_FORMAT);
    assert_int_equal(quantize_layout_make(1, 16, 32768, 1.0, &layout), CHOIR_ERR_FORMAT);
    assert_int_equal(quantize_layout_make(1, 32, 4, (double)NAN, &layout), CHOIR_ERR_FORMAT);
    assert_int_equal(quantize_layout_make(1, 32, 4, 0.0, &layout), CHOIR_ERR_FORMAT);
}

// Encodes the updates of all sites, adds them in the ring, decodes, and compares each entry with
// the real sum: off by at most half a unit per site.
static void assert_sum_is_right(uint32_t lane_bits)
{
    struct quantize_layout layout = layout_of(VALUES, lane_bits, SITES, 2.0);
    float *update = calloc(VALUES, sizeof *update);
    double *want = calloc(VALUES, sizeof *want);
    double *got = calloc(VALUES, sizeof *got);
    uint8_t *part = calloc(1, layout.n_bytes);
    uint8_t *total = calloc(1, layout.n_bytes);

    assert_true(update != NULL && want != NULL && got != NULL && part != NULL && total != NULL);
    for (uint32_t s = 0; s < SITES; s++) {
        for (size_t i = 0; i < VALUES; i++) {
            update[i] = i == 0 ? -2.0F : 2.0F * (float)sin((double)(i * (s + 3)));
            want[i] += (double)update[i];
        }
        assert_int_equal(quantize_encode(&layout, update, part), CHOIR_OK);
        quantize_add(lane_bits, total, part, layout.n_bytes);
    }
    assert_int_equal(quantize_decode(&layout, total, SITES, got), CHOIR_OK);
    for (size_t i = 0; i < VALUES; i++)
        assert_true(fabs(got[i] - want[i]) <= ldexp(0.5 * SITES, -layout.frac_bits));
    assert_int_equal(quantize_decode(&layout, total, SITES - 1, got), CHOIR_ERR_FORGED);
    free(update);
    free(want);
    free(got);
    free(part);
    free(total);
}

static void a_sum_comes_back_from_32_bit_lanes(void **state)
{
    (void)state;
    assert_sum_is_right(32);
}

static void a_sum_comes_back_from_16_bit_lanes(void **state)
{
    (void)state;
    assert_sum_is_right(16);
}

static void a_segment_alone_has_the_bytes_it_has_in_the_whole(void **state)
{
    struct quantize_layout layout = layout_of(VALUES, 32, SITES, 1.0);
    float *update = calloc(VALUES, sizeof *update);
    uint8_t *whole = calloc(1, layout.n_bytes);
    uint8_t *segment = calloc(1, layout.n_bytes);

    (void)state;
    assert_true(update != NULL && whole != NULL && segment != NULL);
    for (size_t i = 0; i < VALUES; i++)
        update[i] = (float)cos((double)i);
    assert_int_equal(quantize_encode(&layout, update, whole), CHOIR_OK);
    assert_int_equal(
        quantize_encode_segment(&layout, 1, update + quantize_segment_first(&layout, 1), segment),
        CHOIR_OK);
    assert_memory_equal(segment, whole + quantize_segment_offset(&layout, 1),
                        quantize_segment_bytes(&layout, 1));
    free(update);
    free(whole);
    free(segment);
}

static void lanes_are_little_endian_and_rounded_to_nearest(void **state)
{
    struct quantize_layout layout = layout_of(3, 16, 1, 1.0); // 14 bits after the point
    const float values[3] = {1.0F, -0x1p-14F, 0x1.8p-14F};
    const uint8_t want[8] = {0x00, 0x40, 0xff, 0xff, 0x02, 0x00, 0x01, 0x00};
    uint8_t bytes[8];

    (void)state;
    assert_int_equal(layout.frac_bits, 14);
    assert_int_equal(quantize_encode(&layout, values, bytes), CHOIR_OK);
    assert_memory_equal(bytes, want, sizeof want);
}

static void nan_infinity_and_values_beyond_the_bound_are_refused(void **state)
{
    struct quantize_layout layout = layout_of(2, 32, 4, 1.0);
    const float bad[] = {NAN, INFINITY, -INFINITY, 1.0000001F};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const float values[2] = {0.5F, bad[i]};
        const uint8_t zeros[12] = {0};
        uint8_t bytes[12];

        assert_int_equal(quantize_encode(&layout, values, bytes), CHOIR_ERR_FORMAT);
        assert_memory_equal(bytes, zeros, sizeof zeros);
    }
}

static void a_value_that_no_sites_can_add_up_to_is_found(void **state)
{
    struct quantize_layout layout = layout_of(1, 32, 3, 1.0); // 29 bits after the point
    uint8_t bytes[8];
    double value;

    (void)state;
    put_u32(put_u32(bytes, UINT32_C(2) << 29), 2);
    assert_int_equal(quantize_decode(&layout, bytes, 2, &value), CHOIR_OK);
    put_u32(bytes, (UINT32_C(2) << 29) + 1);
    assert_int_equal(quantize_decode(&layout, bytes, 2, &value), CHOIR_ERR_FORGED);
}

// The constant of each site adds up to their number: one vector too few, too many or damaged.
static void a_sum_that_does_not_count_its_sites_is_found(void **state)
{
    struct quantize_layout wide = layout_of(1, 32, 4, 1.0);
    struct quantize_layout narrow = layout_of(1, 16, 4, 1.0);
    uint8_t bytes[8];
    double value;

    (void)state;
    put_u32(put_u32(bytes, 5), 3);
    assert_int_equal(quantize_decode(&wide, bytes, 3, &value), CHOIR_OK);
    assert_int_equal(quantize_decode(&wide, bytes, 2, &value), CHOIR_ERR_FORGED);
    assert_int_equal(quantize_decode(&wide, bytes, 4, &value), CHOIR_ERR_FORGED);
    put_u16(put_u16(bytes, 5), 3);
    assert_int_equal(quantize_decode(&narrow, bytes, 3, &value), CHOIR_OK);
    assert_int_equal(quantize_decode(&narrow, bytes, 2, &value), CHOIR_ERR_FORGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_of_32_bit_lanes_is_one_chunk),
        cmocka_unit_test(a_full_last_segment_needs_no_further_one),
        cmocka_unit_test(the_scale_is_the_largest_that_cannot_wrap),
        cmocka_unit_test(a_scale_too_coarse_or_out_of_range_is_refused),
        cmocka_unit_test(a_sum_comes_back_from_32_bit_lanes),
        cmocka_unit_test(a_sum_comes_back_from_16_bit_lanes),
        cmocka_unit_test(a_segment_alone_has_the_bytes_it_has_in_the_whole),
        cmocka_unit_test(lanes_are_little_endian_and_rounded_to_nearest),
        cmocka_unit_test(nan_infinity_and_values_beyond_the_bound_are_refused),
        cmocka_unit_test(a_value_that_no_sites_can_add_up_to_is_found),
        cmocka_unit_test(a_sum_that_does_not_count_its_sites_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
