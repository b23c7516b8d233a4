#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct json *json;
static struct choir_diag diag;

static enum choir_err parse(const char *text)
{
    memset(&diag, 0, sizeof diag);
    return json_parse(text, strlen(text), 1 << 20, "doc.json", &json, &diag);
}

static int release(void **state)
{
    (void)state;
    json_free(json);
    json = NULL;
    return 0;
}

static bool same(double a, double b)
{
    return a <= b && a >= b;
}

static void assert_refused(const char *text, const char *place, const char *part)
{
    assert_int_equal(parse(text), CHOIR_ERR_FORMAT);
    assert_null(json);
    assert_string_equal(diag.place, place);
    if (strstr(diag.message, part) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", diag.message, part);
}

static void assert_read(const char *text)
{
    assert_int_equal(parse(text), CHOIR_OK);
    release(NULL);
}

static const struct json_node *find(const char *path)
{
    return json_find(json_root(json), path);
}

static void values_of_every_kind_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"a\": [1.5, -2e3, true, false, null, \"t\\u00e9xt\\n\"], \"b\": {}}"),
                     CHOIR_OK);
    assert_int_equal(json_kind(json_root(json)), JSON_OBJECT);
    assert_int_equal(json_count(json_root(json)), 2);
    assert_int_equal(json_count(find("a")), 6);
    assert_true(same(json_number(find("a[0]")), 1.5));
    assert_true(same(json_number(find("a[1]")), -2000));
    assert_true(json_bool(find("a[2]")));
    assert_false(json_bool(find("a[3]")));
    assert_int_equal(json_kind(find("a[4]")), JSON_NULL);
    assert_string_equal(json_text(find("a[5]")), "t\xc3\xa9xt\n");
    assert_int_equal(json_kind(find("b")), JSON_OBJECT);
    assert_string_equal(json_key(find("b")), "b");
    assert_null(json_key(find("a[2]")));
    assert_null(json_get(json_root(json), "c"));
    assert_null(json_get(find("a"), "c"));
}

static void a_value_knows_its_line_and_path(void **state)
{
    char place[64];

    (void)state;
    assert_int_equal(parse("{\n\"sites\": [\n{},\n{\"x\": {\n\"name\"\n:\n7}}]}"), CHOIR_OK);
    json_place(find("sites[1].x.name"), place, sizeof place);
    assert_string_equal(place, "doc.json:7: sites[1].x.name");
    json_place(json_root(json), place, sizeof place);
    assert_string_equal(place, "doc.json:1:");
    json_place(find("sites[1].x.name"), place, 16);
    assert_string_equal(place, "doc.json:7: sit");
    assert_int_equal(json_line(find("sites[1]")), 4);
}

static void an_element_of_a_root_array_has_a_place(void **state)
{
    char place[64];

    (void)state;
    assert_int_equal(parse("[[1],\n[2]]"), CHOIR_OK);
    json_place(find("[1][0]"), place, sizeof place);
    assert_string_equal(place, "doc.json:2: [1][0]");
}

static void a_path_that_leads_nowhere_gives_the_last_value_on_its_way(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"a\": {\"b\": [1]}}"), CHOIR_OK);
    assert_ptr_equal(find("a.b[5]"), find("a.b"));
    assert_ptr_equal(find("a.z.b"), find("a"));
    assert_ptr_equal(find("z"), json_root(json));
}

static void a_key_that_stands_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"a\": {\"k\": 1,\n\"j\": 2,\n\"k\": 3}}", "doc.json:3: a.k",
                   "twice in this object, first in line 1");
    assert_refused("{\"k\": 1, \"\\u006b\": 3}", "doc.json:1: k", "twice");
    assert_read("{\"a\": {\"k\": 1}, \"k\": 2, \"K\": 3}");
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_refused("[1,\n1e309]", "doc.json:2:", "too large");
    assert_refused("-1e400", "doc.json:1:", "too large");
    assert_refused("9007199254740993", "doc.json:1:", "too large to be kept exactly");
    assert_refused("-90071992547409921", "doc.json:1:", "too large to be kept exactly");
    assert_refused("1e-400", "doc.json:1:", "too small");
    assert_refused("0.00000000000000000000000000000000000000000000000001", "doc.json:1:", "48");
    assert_read("[9007199254740992, 0e5, -0, 0.0, 1e308, 5e-324, 0E-999]");
}

static void numbers_outside_the_grammar_are_refused(void **state)
{
    static const char *const bad[] = {"01",        "+1",    "-",    ".5",  "1.",
                                      "1e",        "1e+",   "0x10", "NaN", "Infinity",
                                      "-Infinity", "1.5.2", "1 2",  "--1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse(bad[i]), CHOIR_ERR_FORMAT);
}

static void text_that_is_no_json_is_refused(void **state)
{
    (void)state;
    assert_refused("", "doc.json:1:", "ends where a value");
    assert_refused(" \n\n", "doc.json:3:", "ends where a value");
    assert_refused("{\"a\": 1,}", "doc.json:1:", "comma stands before");
    assert_refused("[1,]", "doc.json:1:", "a value must be");
    assert_refused("{\"a\" 1}", "doc.json:1:", "colon");
    assert_refused("{a: 1}", "doc.json:1:", "double quotes");
    assert_refused("{\"a\": 1 \"b\": 2}", "doc.json:1:", "comma or the closing");
    assert_refused("{\"a\": 1]", "doc.json:1:", "comma or the closing");
    assert_refused("[1", "doc.json:1:", "ends inside an array");
    assert_refused("// no\n1", "doc.json:1:", "a value must be");
    assert_refused("tru", "doc.json:1:", "a value must be");
    assert_refused("{}\n{}", "doc.json:2:", "follows the end");
    assert_refused("\xef\xbb\xbf{}", "doc.json:1:", "a value must be");
}

static void strings_outside_the_grammar_are_refused(void **state)
{
    (void)state;
    assert_refused("\"abc", "doc.json:1:", "ends inside a string");
    assert_refused("\"abc\\", "doc.json:1:", "unknown escape");
    assert_refused("\"a\\x\"", "doc.json:1:", "unknown escape");
    assert_refused("\"a\nb\"", "doc.json:1:", "quote missing");
    assert_refused("\"\\u12\"", "doc.json:1:", "four hexadecimal");
    assert_refused("\"\\u0000\"", "doc.json:1:", "zero byte");
    assert_refused("\"\\ud800\"", "doc.json:1:", "surrogate");
    assert_refused("\"\\udc00\\ud800\"", "doc.json:1:", "surrogate");
    assert_refused("\"\\ud800\\u0041\"", "doc.json:1:", "surrogate");
    assert_read("\"\\ud83d\\ude00 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"");
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    static const char *const bad[] = {
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xc3\"",
        "\"\xe0\x80\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf0\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(bad[i], "doc.json:1:", "UTF-8");
    assert_read("\"\xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf\"");
}

static void a_zero_byte_is_no_end(void **state)
{
    (void)state;
    assert_int_equal(json_parse("1\0002", 3, 9, "doc.json", &json, &diag), CHOIR_ERR_FORMAT);
    assert_int_equal(json_parse("\0", 1, 9, "doc.json", &json, &diag), CHOIR_ERR_FORMAT);
    assert_int_equal(json_parse("\"\\\0\"", 4, 9, "doc.json", &json, &diag), CHOIR_ERR_FORMAT);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    assert_read("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_refused("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
                   "doc.json:1:", "nested more than 32");
}

static void size_and_number_of_keys_are_bounded(void **state)
{
    char *text = malloc((size_t)20 * (JSON_MAX_MEMBERS + 2));
    size_t len = 1;

    (void)state;
    assert_non_null(text);
    assert_int_equal(json_parse("[12]", 4, 3, "doc.json", &json, &diag), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.message, "4 bytes; at most 3 are read");
    text[0] = '{';
    for (int i = 0; i <= JSON_MAX_MEMBERS; i++)
        len += (size_t)snprintf(text + len, 20, "%s\"%d\":0", i == 0 ? "" : ",", i);
    snprintf(text + len, 2, "}");
    assert_refused(text, "doc.json:1:", "more than 1024 keys");
    free(text);
}

static void a_text_cut_at_any_byte_is_refused(void **state)
{
    static const char text[] = "{\"a\": [1.5e3, {\"b\": \"\\u00e9\\ud83d\\ude00\"}, true, null]}";

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_equal(json_parse(text, len, 999, "doc.json", &json, &diag), CHOIR_ERR_FORMAT);
    assert_read(text);
}

static void members_are_got_by_key_kind_and_range(void **state)
{
    const struct json_node *node = NULL;
    const char *text = NULL;
    uint64_t count = 0;
    double number = 0;
    bool flag = false;

    (void)state;
    assert_int_equal(
        parse("{\"text\": \"x\", \"number\": 0.5, \"count\": 3, \"flag\": true, \"list\": []}"),
        CHOIR_OK);
    node = json_root(json);
    assert_int_equal(json_get_text(node, "text", &text, &diag), CHOIR_OK);
    assert_string_equal(text, "x");
    assert_int_equal(json_get_number(node, "number", 0, 1, &number, &diag), CHOIR_OK);
    assert_true(same(number, 0.5));
    assert_int_equal(json_get_u64(node, "count", 1, 3, &count, &diag), CHOIR_OK);
    assert_int_equal(count, 3);
    assert_int_equal(json_get_bool(node, "flag", &flag, &diag), CHOIR_OK);
    assert_true(flag);

    assert_int_equal(json_get_number(node, "number", 1, 2, &number, &diag), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.place, "doc.json:1: number");
    assert_string_equal(diag.message, "must be a number from 1 to 2; it is 0.5");
    assert_int_equal(json_get_u64(node, "count", 4, 9, &count, &diag), CHOIR_ERR_FORMAT);
    assert_int_equal(json_get_u64(node, "number", 0, 9, &count, &diag), CHOIR_ERR_FORMAT);
    assert_int_equal(json_get_text(node, "other", &text, &diag), CHOIR_ERR_MISSING);
    assert_int_equal(json_get_text(node, "number", &text, &diag), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.message, "must be a string; it is a number");
    assert_int_equal(json_get_node(node, "list", JSON_OBJECT, &node, &diag), CHOIR_ERR_FORMAT);
    assert_int_equal(json_get_node(node, "list", JSON_ARRAY, &node, &diag), CHOIR_OK);
    assert_int_equal(json_get_bool(node, "flag", &flag, &diag), CHOIR_ERR_FORMAT);
}

static void a_missing_file_is_told_by_name(void **state)
{
    (void)state;
    assert_int_equal(json_read_file("no-such-file.json", 99, &json, &diag), CHOIR_ERR_MISSING);
    assert_string_equal(diag.place, "no-such-file.json");
}

#define TEST(f) cmocka_unit_test_teardown(f, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_kind_are_read),
        TEST(a_value_knows_its_line_and_path),
        TEST(an_element_of_a_root_array_has_a_place),
        TEST(a_path_that_leads_nowhere_gives_the_last_value_on_its_way),
        TEST(a_key_that_stands_twice_is_refused),
        TEST(numbers_that_do_not_fit_are_refused),
        TEST(numbers_outside_the_grammar_are_refused),
        TEST(text_that_is_no_json_is_refused),
        TEST(strings_outside_the_grammar_are_refused),
        TEST(text_that_is_not_utf8_is_refused),
        TEST(a_zero_byte_is_no_end),
        TEST(nesting_is_bounded),
        TEST(size_and_number_of_keys_are_bounded),
        TEST(a_text_cut_at_any_byte_is_refused),
        TEST(members_are_got_by_key_kind_and_range),
        TEST(a_missing_file_is_told_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
