#include "train/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/train/near.h"

static char level_a[] = "a", level_b[] = "b", level_c[] = "c", code_yes[] = "yes", code_no[] = "no";
static char *levels[] = {level_a, level_b, level_c}, *yes[] = {code_yes}, *no[] = {code_no};

// One schema of a flagged number, a category of three levels, and an ignored column.
static struct schema_column columns[3];
static char size_name[] = "size", term_name[] = "term", id_name[] = "id", label_name[] = "Class";

static int set_up(void **state)
{
    static struct schema schema;

    columns[0] = (struct schema_column){
        .name = size_name, .missing = SCHEMA_FLAG, .min = 0, .max = 10, .fill = 2};
    columns[1] =
        (struct schema_column){.name = term_name, .kind = SCHEMA_CATEGORY, .levels = {levels, 3}};
    columns[2] = (struct schema_column){.name = id_name, .kind = SCHEMA_IGNORE};
    schema = (struct schema){.columns = columns,
                             .n_columns = 3,
                             .label = {label_name, {yes, 1}, {no, 1}},
                             .header = true};
    *state = &schema;
    return 0;
}

static void features_are_counted(void **state)
{
    assert_int_equal(schema_check(*state, NULL), CHOIR_OK);
    assert_int_equal(schema_n_features(*state), 4);
}

static void scaling_comes_from_the_bounds_unless_given(void **state)
{
    double center, scale;

    (void)state;
    schema_scaling(&columns[0], &center, &scale);
    assert_true(is_near(center, 5.0, 1e-12));
    assert_true(is_near(scale, 5.0, 1e-12));
    assert_true(is_near(schema_value(&columns[0], 10.0), 1.0, 1e-12));
    columns[0].has_scale = true;
    columns[0].scale = 2.0;
    assert_true(is_near(schema_value(&columns[0], 10.0), 2.5, 1e-12));
    columns[0].transform = SCHEMA_SQRT;
    columns[0].has_center = true;
    columns[0].center = 1.0;
    assert_true(is_near(schema_value(&columns[0], 9.0), 1.0, 1e-12));
    columns[0].transform = SCHEMA_LOG1P;
    assert_true(is_near(schema_value(&columns[0], 0.0), -0.5, 1e-12));
}

static void expect_fault(const struct schema *schema, const char *place)
{
    struct choir_diag diag = {0};

    assert_int_equal(schema_check(schema, &diag), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.place, place);
}

static void faulty_bounds_are_refused(void **state)
{
    columns[0].min = 10;
    expect_fault(*state, "data.columns[0].min");
    columns[0].min = -2;
    columns[0].transform = SCHEMA_LOG1P;
    expect_fault(*state, "data.columns[0].min");
    columns[0].transform = SCHEMA_SQRT;
    expect_fault(*state, "data.columns[0].min");
    columns[0].transform = SCHEMA_NONE;
    columns[0].fill = 11;
    expect_fault(*state, "data.columns[0].fill");
    columns[0].fill = 0;
    columns[0].has_scale = true;
    expect_fault(*state, "data.columns[0].scale");
    columns[0].scale = 1e-300;
    expect_fault(*state, "data.columns[0].scale");
}

static void faulty_lists_are_refused(void **state)
{
    struct schema *schema = *state;
    char *twice[] = {levels[0], levels[0]};

    columns[1].levels = (struct schema_texts){twice, 2};
    expect_fault(schema, "data.columns[1].levels");
    columns[1].levels = (struct schema_texts){levels, 1};
    expect_fault(schema, "data.columns[1].levels");
    columns[1].levels = (struct schema_texts){levels, 3};
    schema->label.negative = (struct schema_texts){yes, 1};
    expect_fault(schema, "data.label.negative");
    schema->label.negative.n = 0;
    expect_fault(schema, "data.label.negative");
}

static void names_must_differ_and_the_label_is_no_feature(void **state)
{
    columns[2].name = size_name;
    expect_fault(*state, "data.columns");
    columns[2].name = label_name;
    assert_int_equal(schema_check(*state, NULL), CHOIR_OK);
    columns[2].kind = SCHEMA_NUMERIC;
    columns[2].max = 1;
    expect_fault(*state, "data.columns");
}

static void texts_are_copied_and_freed(void **state)
{
    struct schema schema = {0};
    char longer[SCHEMA_MAX_TEXT + 2];

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(schema_texts_add(&schema.label.positive, "1"), CHOIR_OK);
    assert_int_equal(schema_texts_add(&schema.label.positive, "2"), CHOIR_OK);
    assert_int_equal(schema_texts_add(&schema.label.positive, longer), CHOIR_ERR_FORMAT);
    assert_int_equal(schema.label.positive.n, 2);
    assert_string_equal(schema.label.positive.at[1], "2");
    schema_free(&schema);
    assert_null(schema.label.positive.at);
    schema_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(features_are_counted),
        TEST(scaling_comes_from_the_bounds_unless_given),
        TEST(faulty_bounds_are_refused),
        TEST(faulty_lists_are_refused),
        TEST(names_must_differ_and_the_label_is_no_feature),
        TEST(texts_are_copied_and_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
