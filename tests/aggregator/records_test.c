#include "aggregator/records.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/aggregator/sample.h"

struct told {
    char text[64];
    size_t n, limit; // `limit`: where to stop
};

static enum choir_err note(void *context, const uint8_t *record, size_t len)
{
    struct told *told = context;

    if (told->n == told->limit)
        return CHOIR_ERR_REFUSED;
    strncat(told->text, (const char *)record, len);
    told->n++;
    return CHOIR_OK;
}

static void append(struct records *records, const char *text)
{
    assert_int_equal(records_append(records, (const uint8_t *)text, strlen(text)), CHOIR_OK);
}

static void records_come_back_in_order_after_a_restart(void **state)
{
    struct told told = {.limit = 9};
    struct records *records = NULL;
    char path[128];

    sample_path(*state, "journal.db", path);
    assert_int_equal(records_open(path, &records), CHOIR_OK);
    append(records, "one ");
    append(records, "two ");
    append(records, "three");
    records_close(records);
    records = NULL;
    assert_int_equal(records_open(path, &records), CHOIR_OK);
    assert_int_equal(records_each(records, note, &told), CHOIR_OK);
    assert_string_equal(told.text, "one two three");
    records_close(records);
}

static void a_visitor_can_end_the_tale(void **state)
{
    struct told told = {.limit = 1};
    struct records *records = NULL;
    char path[128];

    assert_int_equal(records_open(sample_path(*state, "journal.db", path), &records), CHOIR_OK);
    append(records, "one");
    append(records, "two");
    assert_int_equal(records_each(records, note, &told), CHOIR_ERR_REFUSED);
    assert_string_equal(told.text, "one");
    records_close(records);
}

static void a_cleared_journal_is_empty_and_takes_new_records(void **state)
{
    struct told told = {.limit = 9};
    struct records *records = NULL;
    char path[128];

    assert_int_equal(records_open(sample_path(*state, "journal.db", path), &records), CHOIR_OK);
    append(records, "old");
    assert_int_equal(records_clear(records), CHOIR_OK);
    append(records, "new");
    assert_int_equal(records_each(records, note, &told), CHOIR_OK);
    assert_string_equal(told.text, "new");
    records_close(records);
}

// The code that a second process gets, while this one has the journal open.
static int opened_elsewhere(const char *path)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct records *records = NULL;
        enum choir_err err = records_open(path, &records);

        _exit((int)err);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void only_one_process_has_the_journal(void **state)
{
    struct records *records = NULL;
    char path[128];

    assert_int_equal(records_open(sample_path(*state, "journal.db", path), &records), CHOIR_OK);
    assert_int_equal(opened_elsewhere(path), CHOIR_ERR_AGAIN);
    records_close(records);
    records = NULL;
    assert_int_equal(records_open(path, &records), CHOIR_OK); // an old one, nothing written to it
    assert_int_equal(opened_elsewhere(path), CHOIR_ERR_AGAIN);
    records_close(records);
    assert_int_equal(opened_elsewhere(path), CHOIR_OK);
}

static void a_damaged_file_is_not_a_journal(void **state)
{
    struct records *records = NULL;
    uint8_t noise[4096];
    char path[128];
    int fd;

    assert_int_equal(records_open(sample_path(*state, "journal.db", path), &records), CHOIR_OK);
    append(records, "one");
    records_close(records);
    records = NULL;
    memset(noise, 0x5a, sizeof noise);
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise);
    close(fd);
    assert_int_equal(records_open(path, &records), CHOIR_ERR_FORGED);
    assert_null(records);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_back_in_order_after_a_restart),
        TEST(a_visitor_can_end_the_tale),
        TEST(a_cleared_journal_is_empty_and_takes_new_records),
        TEST(only_one_process_has_the_journal),
        TEST(a_damaged_file_is_not_a_journal),
    };

    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
