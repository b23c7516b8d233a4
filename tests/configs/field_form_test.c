#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "configs/field.h"

static void names_are_short_and_plain(void **state)
{
    (void)state;
    assert_true(field_form_fits(FIELD_NAME, "bank-a_2"));
    assert_false(field_form_fits(FIELD_NAME, ""));
    assert_false(field_form_fits(FIELD_NAME, "Bank"));
    assert_false(field_form_fits(FIELD_NAME, "a b"));
    assert_false(field_form_fits(FIELD_NAME, "../a"));
    assert_true(field_form_fits(FIELD_NAME,
                                "012345678901234567890123456789012345678901234567890123456789012"));
    assert_false(field_form_fits(
        FIELD_NAME, "0123456789012345678901234567890123456789012345678901234567890123"));
}

static void an_endpoint_has_host_and_port(void **state)
{
    (void)state;
    assert_true(field_form_fits(FIELD_ENDPOINT, "tcp://127.0.0.1:7101"));
    assert_true(field_form_fits(FIELD_ENDPOINT, "tcp://[::1]:1"));
    assert_true(field_form_fits(FIELD_ENDPOINT, "tcp://choir.example.org:65535"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "ipc:///tmp/x:1"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://127.0.0.1"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://:7101"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://a:0"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://a:65536"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://a:123456"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://a:"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://a;b:1"));
    assert_false(field_form_fits(FIELD_ENDPOINT, "tcp://*:7101"));
}

static void paths_and_lines_hold_no_control_characters(void **state)
{
    (void)state;
    assert_true(field_form_fits(FIELD_PATH, "../data/bank a.csv"));
    assert_false(field_form_fits(FIELD_PATH, ""));
    assert_false(field_form_fits(FIELD_PATH, "a\nb"));
    assert_true(field_form_fits(FIELD_LINE, ""));
    assert_true(field_form_fits(FIELD_LINE, "\xc3\xa9\xc2\xa0"));
    assert_false(field_form_fits(FIELD_LINE, "\x7f"));
    assert_false(field_form_fits(FIELD_LINE, "\xc2\x85"));
    assert_false(field_form_fits(FIELD_LINE, "\t"));
}

static void each_form_is_described(void **state)
{
    (void)state;
    for (int form = FIELD_LINE; form <= FIELD_ENDPOINT; form++)
        assert_non_null(field_form_text((enum field_form)form));
    assert_non_null(field_form_pattern(FIELD_NAME));
    assert_null(field_form_pattern(FIELD_LINE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_short_and_plain),
        cmocka_unit_test(an_endpoint_has_host_and_port),
        cmocka_unit_test(paths_and_lines_hold_no_control_characters),
        cmocka_unit_test(each_form_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
