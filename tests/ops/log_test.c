#include "ops/log.h"

#include <cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char line[LOG_LINE_MAX + 1];

static const char *format(const struct log_field *fields, size_t n_fields)
{
    line[log_format(line, 1709294767089, LOG_INFO, "round_charged", fields, n_fields)] = '\0';
    return line;
}

static void a_line_is_keys_and_values(void **state)
{
    const uint8_t run[2] = {0x9f, 0x86};
    const struct log_field fields[] = {log_hex("run", run, sizeof run), log_whole("round", 3),
                                       log_real("epsilon", 0.5), log_truth("late", true),
                                       log_none()};

    (void)state;
    log_start("midwest", false, LOG_INFO);
    assert_string_equal(format(fields, 5), "2024-03-01T12:06:07.089Z info midwest round_charged "
                                           "run=9f86 round=3 epsilon=0.5 late=true\n");
}

static void the_same_line_can_be_json(void **state)
{
    const struct log_field fields[] = {log_text("why", "no \"roster\"\n"), log_real("x", INFINITY)};
    cJSON *json;

    (void)state;
    log_start("midwest", true, LOG_INFO);
    json = cJSON_Parse(format(fields, 2));
    assert_non_null(json);
    assert_string_equal(cJSON_GetObjectItem(json, "who")->valuestring, "midwest");
    assert_string_equal(cJSON_GetObjectItem(json, "event")->valuestring, "round_charged");
    assert_string_equal(cJSON_GetObjectItem(json, "why")->valuestring, "no \"roster\"\n");
    assert_string_equal(cJSON_GetObjectItem(json, "x")->valuestring, "inf");
    cJSON_Delete(json);
}

static void a_text_cannot_start_a_new_line_or_field(void **state)
{
    const struct log_field fields[] = {log_text("text", "a\nb=c \x1b[31m\xff"),
                                       log_text("empty", "")};

    (void)state;
    log_start("midwest", false, LOG_INFO);
    assert_string_equal(strstr(format(fields, 2), "text="),
                        "text=\"a\\u000ab=c \\u001b[31m\\u00ff\" empty=\"\"\n");
}

static void what_does_not_fit_is_left_out_and_said(void **state)
{
    char text[1000];
    struct log_field fields[12];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < 12; i++)
        fields[i] = log_text("long", text);
    log_start("midwest", false, LOG_INFO);
    assert_non_null(strstr(format(fields, 12), "x cut=true\n"));
    assert_int_equal((strlen(line) - strlen(" cut=true\n")) % (LOG_TEXT_MAX + 6),
                     strlen("2024-03-01T12:06:07.089Z info midwest round_charged"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_keys_and_values),
        cmocka_unit_test(the_same_line_can_be_json),
        cmocka_unit_test(a_text_cannot_start_a_new_line_or_field),
        cmocka_unit_test(what_does_not_fit_is_left_out_and_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
