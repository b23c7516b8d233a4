#include "node/membership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/node/site.h"

static struct tested tested;
static struct membership member;
static struct choir_diag diag;
static const uint8_t ledger_key[SIGN_PUBLIC_BYTES] = {1};

static int begin(void **state)
{
    (void)state;
    diag = (struct choir_diag){0};
    tested_begin(&tested, TESTED_POLICY);
    return 0;
}

static int end(void **state)
{
    (void)state;
    membership_release(&member);
    tested_end(&tested);
    return 0;
}

static void a_listed_site_with_a_current_roster_may_start(void **state)
{
    (void)state;
    tested_roster(&tested, "west", now_unix(), ledger_key);
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_OK);
    assert_string_equal(member.self->name, "west");
    assert_memory_equal(member.self->ledger_key, ledger_key, sizeof ledger_key);
}

static void an_expired_roster_is_refused_with_what_to_do(void **state)
{
    (void)state;
    tested_roster(&tested, "west", now_unix() - 100000, ledger_key);
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "expired"));
    assert_non_null(strstr(diag.place, "roster.bin"));
}

static void a_roster_from_the_future_is_refused(void **state)
{
    (void)state;
    tested_roster(&tested, "west", now_unix() + 5000, ledger_key);
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "clock"));
}

static void a_site_that_is_not_listed_is_told_to_enrol(void **state)
{
    (void)state;
    tested_roster(&tested, "east", now_unix(), ledger_key);
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "west.pub"));
}

static void a_roster_of_another_root_is_forged(void **state)
{
    (void)state;
    sign_keypair(tested.root_public, tested.root_secret);
    tested_roster(&tested, "west", now_unix(), ledger_key);
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_FORGED);
    assert_non_null(strstr(diag.message, "root"));
}

static void a_missing_roster_and_a_damaged_one_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_MISSING);
    assert_non_null(strstr(diag.message, "coordinator"));
    sample_write(tested.folder, "roster.bin", "not a roster");
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_FORMAT);
}

static void missing_settings_are_named(void **state)
{
    (void)state;
    assert_int_equal(membership_load("/nonexistent/site.json", &member, &diag), CHOIR_ERR_MISSING);
    assert_non_null(strstr(diag.place, "site.json"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_listed_site_with_a_current_roster_may_start),
        TEST(an_expired_roster_is_refused_with_what_to_do),
        TEST(a_roster_from_the_future_is_refused),
        TEST(a_site_that_is_not_listed_is_told_to_enrol),
        TEST(a_roster_of_another_root_is_forged),
        TEST(a_missing_roster_and_a_damaged_one_are_told_apart),
        TEST(missing_settings_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
