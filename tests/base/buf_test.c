#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORD_BYTES = 1 + 2 + 4 + 8 + 8 + 3 + 2 + 5 };

static void put_record(struct buf *buf)
{
    buf_u8(buf, 0x01);
    buf_u16(buf, 0x0302);
    buf_u32(buf, 0x07060504);
    buf_u64(buf, 0x0f0e0d0c0b0a0908);
    buf_f64(buf, -0.75);
    buf_bytes(buf, "abc", 3);
    buf_text(buf, "hello");
}

// True if all of it was there, with the right values.
static bool get_record(struct view *view)
{
    char text[6], three[3];
    bool good = view_u8(view) == 0x01;

    good = view_u16(view) == 0x0302 && good;
    good = view_u32(view) == 0x07060504 && good;
    good = view_u64(view) == 0x0f0e0d0c0b0a0908 && good;
    good = view_f64(view) + 0.75 <= 0 && good;
    view_bytes(view, three, sizeof three);
    view_text(view, text, sizeof text);
    return good && memcmp(three, "abc", 3) == 0 && strcmp(text, "hello") == 0;
}

static void a_record_is_little_endian_and_reads_back(void **state)
{
    static const uint8_t start[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t memory[RECORD_BYTES];
    struct buf buf = buf_over(memory, sizeof memory);
    struct view view;

    (void)state;
    put_record(&buf);
    assert_true(buf_ok(&buf));
    assert_int_equal(buf.len, RECORD_BYTES);
    assert_memory_equal(memory, start, sizeof start);
    view = view_over(memory, sizeof memory);
    assert_true(get_record(&view));
    assert_true(view_done(&view));
}

static void too_little_room_is_latched_and_nothing_is_overrun(void **state)
{
    (void)state;
    for (size_t max = 0; max < RECORD_BYTES; max++) {
        uint8_t *memory = malloc(max + 1);
        struct buf buf = buf_over(memory, max);

        assert_non_null(memory);
        memory[max] = 0x5a;
        put_record(&buf);
        assert_false(buf_ok(&buf));
        assert_true(buf.len <= max);
        assert_int_equal(memory[max], 0x5a);
        free(memory);
    }
}

static void every_cut_is_latched_and_gives_zeros(void **state)
{
    uint8_t memory[RECORD_BYTES];
    struct buf buf = buf_over(memory, sizeof memory);

    (void)state;
    put_record(&buf);
    for (size_t len = 0; len < RECORD_BYTES; len++) {
        struct view view = view_over(memory, len);

        assert_false(get_record(&view));
        assert_false(view_done(&view));
        assert_int_equal(view_u32(&view), 0);
        assert_null(view_take(&view, 0));
    }
}

static void trailing_bytes_are_an_error(void **state)
{
    const uint8_t memory[5] = {1};
    struct view view = view_over(memory, sizeof memory);

    (void)state;
    assert_int_equal(view_u32(&view), 1);
    assert_false(view_done(&view));
    assert_int_equal(view_u8(&view), 0);
    assert_true(view_done(&view));
}

static void texts_that_do_not_fit_or_hold_a_zero_are_refused(void **state)
{
    static const uint8_t hello[] = {5, 0, 'h', 'e', 'l', 'l', 'o'};
    static const uint8_t zero[] = {3, 0, 'a', 0, 'b'};
    struct view view = view_over(hello, sizeof hello);
    char text[5] = "xxxx", exact[6];

    (void)state;
    view_text(&view, text, sizeof text);
    assert_true(view.failed);
    assert_string_equal(text, "");
    view = view_over(hello, sizeof hello);
    view_text(&view, exact, sizeof exact);
    assert_string_equal(exact, "hello");
    view = view_over(zero, sizeof zero);
    view_text(&view, exact, sizeof exact);
    assert_true(view.failed);
    assert_string_equal(exact, "");
}

static void a_text_beyond_its_length_field_is_refused(void **state)
{
    char *text = malloc(UINT16_MAX + 2);
    uint8_t *memory = malloc(UINT16_MAX + 16);
    struct buf buf = buf_over(memory, UINT16_MAX + 16);

    (void)state;
    assert_true(text != NULL && memory != NULL);
    memset(text, 'a', UINT16_MAX + 1);
    text[UINT16_MAX + 1] = '\0';
    buf_text(&buf, text);
    assert_false(buf_ok(&buf));
    free(text);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_little_endian_and_reads_back),
        cmocka_unit_test(too_little_room_is_latched_and_nothing_is_overrun),
        cmocka_unit_test(every_cut_is_latched_and_gives_zeros),
        cmocka_unit_test(trailing_bytes_are_an_error),
        cmocka_unit_test(texts_that_do_not_fit_or_hold_a_zero_are_refused),
        cmocka_unit_test(a_text_beyond_its_length_field_is_refused),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
