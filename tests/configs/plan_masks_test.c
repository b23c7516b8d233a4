#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "configs/plan.h"
#include "crypto/mask.h"
#include "tests/configs/sample.h"

static struct plan *plan;
static struct choir_diag diag;

static enum choir_err read_text(const char *text)
{
    memset(&diag, 0, sizeof diag);
    return plan_read((const uint8_t *)text, strlen(text), "plan.json", &plan, &diag);
}

static int release(void **state)
{
    (void)state;
    plan_free(plan);
    plan = NULL;
    return 0;
}

static void read_with(const char *from, const char *to)
{
    char *text = sample_change(sample_plan, from, to);
    enum choir_err err = read_text(text);

    free(text);
    if (err != CHOIR_OK)
        fail_msg("%s %s", diag.place, diag.message);
}

static void assert_malformed(const char *rows, const char *part)
{
    char *text = sample_change(sample_plan, "\"secure_aggregation\": \"off\"", rows);

    assert_int_equal(read_text(text), CHOIR_ERR_FORMAT);
    free(text);
    assert_string_equal(diag.place, "plan.json:42: mask_suite");
    assert_non_null(strstr(diag.message, part));
}

static void secure_aggregation_is_on_where_it_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(read_text(sample_plan), CHOIR_OK);
    assert_int_equal(plan_suite(plan), 0);
    release(NULL);
    read_with("  \"secure_aggregation\": \"off\",\n", "");
    assert_int_equal(plan->secure_aggregation, PLAN_ON);
    assert_int_equal(plan_suite(plan), MASK_AES256);
    release(NULL);
    read_with("\"secure_aggregation\": \"off\"", "\"secure_aggregation\": \"on\"");
    assert_int_equal(plan_suite(plan), MASK_AES256);
}

static void each_suite_has_a_name(void **state)
{
    static const char *const names[] = {"off", "aes-256-ctr", "chacha20", "sm4-ctr"};
    char row[64];

    (void)state;
    for (unsigned suite = MASK_AES256; suite <= MASK_SM4; suite++) {
        snprintf(row, sizeof row, "\"mask_suite\": \"%s\"", names[suite]);
        read_with("\"secure_aggregation\": \"off\"", row);
        assert_int_equal(plan_suite(plan), suite);
        assert_string_equal(plan_suite_name((uint16_t)suite), names[suite]);
        release(NULL);
    }
    assert_string_equal(plan_suite_name(0), "off");
    assert_string_equal(plan_suite_name(4), "unknown");
    assert_malformed("\"secure_aggregation\": \"off\", \"mask_suite\": \"chacha20\"",
                     "has no meaning where \"secure_aggregation\" is \"off\"");
    assert_malformed("\"mask_suite\": \"chacha\"", "did you mean \"chacha20\"?");
}

// The sample with its third site gone, and the second too if `only_one`.
static char *with_fewer_sites(bool only_one)
{
    char *two =
        sample_change(sample_plan, ",\n    {\"name\": \"west\", \"nominal_size\": 1200}", "");
    char *one, *asked;

    if (!only_one)
        return two;
    one = sample_change(two, ",\n    {\"name\": \"south\", \"nominal_size\": 900}", "");
    asked = sample_change(one, "\"min_sites\": 2", "\"min_sites\": 1");
    free(two);
    free(one);
    return asked;
}

static void assert_too_few(bool only_one, const char *row, const char *reason)
{
    char *few = with_fewer_sites(only_one);
    char *text = sample_change(few, "  \"secure_aggregation\": \"off\",\n", row);

    assert_int_equal(read_text(text), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, reason));
    assert_non_null(strstr(diag.message, "or mechanism \"dp-sgd\" with \"secure_aggregation\": "
                                         "\"off\": then the noise of each site protects"));
    assert_null(plan);
    free(text);
    assert_int_equal(read_text(few), CHOIR_OK); // switched off it is allowed
    free(few);
    release(NULL);
}

static void fewer_than_three_sites_cannot_hide_in_a_sum(void **state)
{
    const char *reason = "each would learn the other's update by subtracting its own from the sum. "
                         "Take a third site";

    (void)state;
    assert_too_few(false, "  \"secure_aggregation\": \"on\",\n", reason);
    assert_too_few(false, "", reason);
    assert_too_few(true, "", "the sum would be the update of that site. Take two more sites");
}

static void a_refused_switch_is_pointed_at(void **state)
{
    char *two = with_fewer_sites(false);
    char *on =
        sample_change(two, "\"secure_aggregation\": \"off\"", "\"secure_aggregation\": \"on\"");

    (void)state;
    assert_int_equal(read_text(on), CHOIR_ERR_REFUSED);
    assert_string_equal(diag.place, "plan.json:41: secure_aggregation");
    free(on);
    free(two);
}

static void too_many_colluding_sites_are_refused_with_the_numbers(void **state)
{
    (void)state;
    read_with("  \"secure_aggregation\": \"off\",\n", "");
    assert_int_equal(plan_check_collusion(plan, 0, &diag), CHOIR_OK);
    assert_int_equal(plan_check_collusion(plan, 1, &diag), CHOIR_ERR_REFUSED);
    assert_string_equal(diag.place, "secure_aggregation");
    assert_non_null(strstr(diag.message, "c = 1 sites may collude with the aggregator: a sum must "
                                         "be over at least c + 3 = 4 sites; this plan has 3"));
    assert_int_equal(plan_check_collusion(plan, UINT32_MAX, NULL), CHOIR_ERR_REFUSED);
    release(NULL);
    assert_int_equal(read_text(sample_plan), CHOIR_OK);
    assert_int_equal(plan_check_collusion(plan, 9, &diag), CHOIR_OK); // off: nothing hides anyway
}

#define TEST(f) cmocka_unit_test_teardown(f, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(secure_aggregation_is_on_where_it_is_left_out),
        TEST(each_suite_has_a_name),
        TEST(fewer_than_three_sites_cannot_hide_in_a_sum),
        TEST(a_refused_switch_is_pointed_at),
        TEST(too_many_colluding_sites_are_refused_with_the_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
