#include "configs/aggregator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/configs/sample.h"

static const char sample[] =
    "{\n"
    "  \"choir_aggregator\": 1,\n"
    "  \"state_dir\": \"state\",\n"
    "  \"roster\": \"roster\",\n"
    "  \"root\": \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\",\n"
    "  \"keys\": \"keys\",\n"
    "  \"passphrase_file\": \"/run/passphrase\",\n"
    "  \"control\": \"tcp://127.0.0.1:7101\",\n"
    "  \"bulk\": \"tcp://127.0.0.1:7102\"\n"
    "}\n";

static char folder[] = "/tmp/choir-aggregator-XXXXXX";
static char path[64];
static struct aggregator_config *aggregator;
static struct choir_diag diag;

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/aggregator.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int release(void **state)
{
    (void)state;
    aggregator_config_free(aggregator);
    aggregator = NULL;
    return 0;
}

static enum choir_err read_changed(const char *from, const char *to)
{
    char *text = sample_change(sample, from, to);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(text);
    memset(&diag, 0, sizeof diag);
    return aggregator_config_read(path, &aggregator, &diag);
}

static void assert_malformed(const char *from, const char *to, const char *place, const char *part)
{
    char expected[300];

    assert_int_equal(read_changed(from, to), CHOIR_ERR_FORMAT);
    assert_null(aggregator);
    snprintf(expected, sizeof expected, "%s:%s", path, place);
    assert_string_equal(diag.place, expected);
    if (strstr(diag.message, part) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", diag.message, part);
}

static void settings_are_read(void **state)
{
    char expected[100];

    (void)state;
    assert_int_equal(read_changed("keys", "keys"), CHOIR_OK);
    snprintf(expected, sizeof expected, "%s/state", folder);
    assert_string_equal(aggregator->state_dir, expected);
    assert_string_equal(aggregator->passphrase_file, "/run/passphrase");
    assert_string_equal(aggregator->control, "tcp://127.0.0.1:7101");
    assert_string_equal(aggregator->bulk, "tcp://127.0.0.1:7102");
    assert_int_equal(aggregator->log, AGGREGATOR_LOG_TEXT);
    assert_int_equal(aggregator->root[1], 0x11);
}

static void the_log_can_be_json(void **state)
{
    (void)state;
    assert_int_equal(read_changed("\"keys\",", "\"keys\", \"log\": \"json\","), CHOIR_OK);
    assert_int_equal(aggregator->log, AGGREGATOR_LOG_JSON);
}

static void settings_that_name_a_relay_are_those_of_a_relay(void **state)
{
    (void)state;
    assert_int_equal(read_changed("keys", "keys"), CHOIR_OK);
    assert_null(aggregator->relay);
    assert_int_equal(aggregator->relay_wait_s, AGGREGATOR_RELAY_WAIT_S);
    aggregator_config_free(aggregator);
    aggregator = NULL;
    assert_int_equal(
        read_changed("\"keys\",", "\"keys\", \"relay\": \"harbour\", \"relay_wait_s\": 30,"),
        CHOIR_OK);
    assert_string_equal(aggregator->relay, "harbour");
    assert_int_equal(aggregator->relay_wait_s, 30);
}

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    assert_malformed("tcp://127.0.0.1:7101", "127.0.0.1:7101", "8: control", "tcp://HOST:PORT");
    assert_malformed(":7102", ":7101", "9: bulk", "another address than control");
    assert_malformed("\"state_dir\"", "\"statedir\"", "3: statedir", "did you mean \"state_dir\"?");
    assert_malformed("\"keys\",", "\"keys\", \"log\": \"jsn\",", "6: log",
                     "did you mean \"json\"?");
    assert_malformed("\"keys\",", "\"keys\", \"relay\": \"Harbour 1\",", "6: relay", "lower-case");
    assert_malformed("\"keys\",", "\"keys\", \"relay_wait_s\": 0,", "6: relay_wait_s", "1");
    assert_malformed("  \"roster\": \"roster\",\n", "", "1:", "\"roster\" is missing");
}

#define TEST(f) cmocka_unit_test_teardown(f, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_are_read),
        TEST(the_log_can_be_json),
        TEST(settings_that_name_a_relay_are_those_of_a_relay),
        TEST(mistakes_are_told_with_their_place),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
