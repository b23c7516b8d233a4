#include "ledger/fedlog.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "ledger/ledgerfile.h"
#include "tests/ledger/sample.h"

static char folder[64], path[128];
static uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
static const uint8_t federation[ENTRY_ID_BYTES] = {9};

static int open_log(void **state)
{
    struct fedlog *log = NULL;

    sample_folder(folder);
    snprintf(path, sizeof path, "%s/federation.db", folder);
    sign_keypair(public_key, secret_key);
    if (fedlog_create(path, "lenders", federation, public_key, secret_key) != CHOIR_OK ||
        fedlog_open(path, public_key, secret_key, &log) != CHOIR_OK)
        return -1;
    *state = log;
    return 0;
}

static int close_and_remove(void **state)
{
    fedlog_close(*state);
    sample_remove(folder);
    return 0;
}

static struct entry round_close(uint64_t round)
{
    struct entry entry = {.kind = ENTRY_ROUND_CLOSE, .time = 1};

    entry.step.round = round;
    entry.step.attempt = 1;
    entry.step.n_sites = 1;
    entry.step.sites[0].id = 1;
    return entry;
}

static enum choir_err count_entry(void *context, uint64_t index, const struct entry *entry)
{
    (void)index;
    (void)entry;
    ++*(size_t *)context;
    return CHOIR_OK;
}

static void appended_entries_survive_a_restart(void **state)
{
    struct entry entry = round_close(1);
    struct head before, after;
    size_t n = 0;

    assert_int_equal(fedlog_append(*state, &entry), CHOIR_OK);
    fedlog_head(*state, &before);
    fedlog_close(*state);
    *state = NULL;
    assert_int_equal(fedlog_open(path, public_key, secret_key, (struct fedlog **)state), CHOIR_OK);
    fedlog_head(*state, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(fedlog_each(*state, count_entry, &n), CHOIR_OK);
    assert_int_equal(n, 2);
}

static void an_entry_of_a_ledger_is_refused(void **state)
{
    struct entry entry = {.kind = ENTRY_COMMIT, .spend = sample_spend(1, 1)};

    assert_int_equal(fedlog_append(*state, &entry), CHOIR_ERR_FORMAT);
}

static void another_key_does_not_open_it(void **state)
{
    uint8_t other_key[SIGN_PUBLIC_BYTES], other_secret[SIGN_SECRET_BYTES];

    fedlog_close(*state);
    *state = NULL;
    sign_keypair(other_key, other_secret);
    assert_int_equal(fedlog_open(path, other_key, other_secret, (struct fedlog **)state),
                     CHOIR_ERR_FORGED);
}

static void an_export_checks_good(void **state)
{
    struct entry entry = round_close(1);
    struct ledgerfile file;
    struct choir_diag diag;
    uint8_t *bytes = NULL;
    char out[160];
    size_t len = 0;

    assert_int_equal(fedlog_append(*state, &entry), CHOIR_OK);
    snprintf(out, sizeof out, "%s/federation.log", folder);
    assert_int_equal(fedlog_export(*state, AT_FDCWD, out), CHOIR_OK);
    assert_int_equal(file_read(out, LEDGERFILE_BYTES_MAX, &bytes, &len), CHOIR_OK);
    assert_int_equal(ledgerfile_read(bytes, len, &file), CHOIR_OK);
    assert_int_equal(file.n_lines, 2);
    assert_int_equal(ledgerfile_check(&file, &diag), CHOIR_OK);
    ledgerfile_free(&file);
    free(bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_log, close_and_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(appended_entries_survive_a_restart),
        TEST(an_entry_of_a_ledger_is_refused),
        TEST(another_key_does_not_open_it),
        TEST(an_export_checks_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
