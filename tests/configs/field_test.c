#include "configs/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct record {
    uint32_t size;
    bool size_given;
    unsigned kind;
    uint32_t set;
    double depth;
};

static const char *const kinds[] = {"flat", "deep"};
static const struct field rows[] = {
    {.name = "kind",
     .help = "k",
     .kind = FIELD_WORD,
     .selects = true,
     .offset = offsetof(struct record, kind),
     FIELD_WORDS_OF(kinds)},
    {.name = "size",
     .help = "s",
     .kind = FIELD_U32,
     .optional = true,
     .offset = offsetof(struct record, size),
     .given = offsetof(struct record, size_given),
     .max = 9,
     .fallback = 4},
    {.name = "depth",
     .help = "d",
     .kind = FIELD_NUMBER,
     .when = 2,
     .offset = offsetof(struct record, depth),
     .max = 1},
    {.name = "set",
     .help = "w",
     .kind = FIELD_WORD_SET,
     .optional = true,
     .offset = offsetof(struct record, set),
     .max_items = 2,
     FIELD_WORDS_OF(kinds)},
};

static struct record record;
static struct choir_diag diag;

static enum choir_err read_text(const char *text)
{
    struct json *json = NULL;
    enum choir_err err = json_parse(text, strlen(text), 999, "f", &json, &diag);

    memset(&record, 0, sizeof record);
    if (err == CHOIR_OK)
        err = field_read(rows, FIELD_COUNT(rows), json_root(json), &record, &diag);
    json_free(json);
    return err;
}

static void an_optional_number_takes_its_default_and_says_so(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"kind\": \"flat\"}"), CHOIR_OK);
    assert_int_equal(record.size, 4);
    assert_false(record.size_given);
    assert_int_equal(read_text("{\"size\": 0, \"kind\": \"flat\"}"), CHOIR_OK);
    assert_int_equal(record.size, 0);
    assert_true(record.size_given);
}

static void a_dependent_key_follows_its_word_wherever_it_stands(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"depth\": 0.5, \"kind\": \"deep\"}"), CHOIR_OK);
    assert_int_equal(record.kind, 1);
    assert_int_equal(read_text("{\"depth\": 0.5, \"kind\": \"flat\"}"), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.place, "f:1: depth");
    assert_int_equal(read_text("{\"kind\": \"deep\"}"), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.message, "the key \"depth\" is missing (d)");
}

static void a_set_of_words_becomes_bits(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"kind\": \"flat\", \"set\": [\"deep\", \"flat\"]}"), CHOIR_OK);
    assert_int_equal(record.set, 3);
    assert_int_equal(read_text("{\"kind\": \"flat\", \"set\": [\"deep\"]}"), CHOIR_OK);
    assert_int_equal(record.set, 2);
    assert_int_equal(read_text("{\"kind\": \"flat\", \"set\": [\"deep\", \"deep\"]}"),
                     CHOIR_ERR_FORMAT);
    assert_string_equal(diag.place, "f:1: set[1]");
    assert_int_equal(read_text("{\"kind\": \"flat\", \"set\": [\"deep\", \"flat\", \"deep\"]}"),
                     CHOIR_ERR_FORMAT);
    assert_string_equal(diag.message, "must list 0 to 2 items; it lists 3");
}

static void a_document_that_is_no_object_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_text("[]"), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.message, "must be an object; it is an array");
}

static void a_key_path_is_given_its_line(void **state)
{
    static const char text[] = "{\"a\":\n[1,\n{\"b\": 2}]}";
    struct json *json = NULL;

    (void)state;
    assert_int_equal(json_parse(text, strlen(text), 99, "f", &json, NULL), CHOIR_OK);
    diag_set(&diag, CHOIR_ERR_FORMAT, "a[1].b", "bad");
    field_relocate(json_root(json), &diag);
    assert_string_equal(diag.place, "f:3: a[1].b");
    diag_set(&diag, CHOIR_ERR_FORMAT, "a[1].c", "bad");
    field_relocate(json_root(json), &diag);
    assert_string_equal(diag.place, "f:3: a[1]");
    assert_string_equal(diag.message, "bad");
    json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_optional_number_takes_its_default_and_says_so),
        cmocka_unit_test(a_dependent_key_follows_its_word_wherever_it_stands),
        cmocka_unit_test(a_set_of_words_becomes_bits),
        cmocka_unit_test(a_document_that_is_no_object_is_refused),
        cmocka_unit_test(a_key_path_is_given_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
