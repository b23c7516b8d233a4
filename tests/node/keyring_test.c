#include "node/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "crypto/rng.h"
#include "tests/node/sample.h"

static char folder[SAMPLE_PATH];
static char path[2 * SAMPLE_PATH];

static int make_folder(void **state)
{
    (void)state;
    sample_folder(folder);
    (void)snprintf(path, sizeof path, "%s/site.key", folder);
    return rng_start() == CHOIR_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    sample_remove(folder);
    return 0;
}

static void keys_come_back_with_the_passphrase(void **state)
{
    struct keyring *made = NULL, *opened = NULL;

    (void)state;
    assert_int_equal(keyring_make(path, "words", KEYFILE_COST_MIN, &made, NULL), CHOIR_OK);
    assert_int_equal(keyring_open(path, "words", &opened, NULL), CHOIR_OK);
    assert_memory_equal(made, opened, sizeof *made);
    keyring_free(made);
    keyring_free(opened);
}

static void a_wrong_passphrase_is_said_in_words(void **state)
{
    struct keyring *keys = NULL;
    struct choir_diag diag = {0};

    (void)state;
    assert_int_equal(keyring_make(path, "words", KEYFILE_COST_MIN, &keys, NULL), CHOIR_OK);
    keyring_free(keys);
    assert_int_equal(keyring_open(path, "other", &keys, &diag), CHOIR_ERR_FORGED);
    assert_non_null(strstr(diag.message, "passphrase is wrong"));
    assert_string_equal(diag.place, path);
}

static void keys_are_never_overwritten(void **state)
{
    struct keyring *keys = NULL, *again = NULL;

    (void)state;
    assert_int_equal(keyring_make(path, "words", KEYFILE_COST_MIN, &keys, NULL), CHOIR_OK);
    assert_int_equal(keyring_make(path, "words", KEYFILE_COST_MIN, &again, NULL),
                     CHOIR_ERR_REFUSED);
    assert_int_equal(keyring_open(path, "words", &again, NULL), CHOIR_OK);
    assert_memory_equal(keys, again, sizeof *keys);
    keyring_free(keys);
    keyring_free(again);
}

static void a_missing_or_readable_key_file_is_refused(void **state)
{
    struct keyring *keys = NULL;

    (void)state;
    assert_int_equal(keyring_open(path, "words", &keys, NULL), CHOIR_ERR_MISSING);
    assert_int_equal(keyring_make(path, "words", KEYFILE_COST_MIN, &keys, NULL), CHOIR_OK);
    keyring_free(keys);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(keyring_open(path, "words", &keys, NULL), CHOIR_ERR_REFUSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_come_back_with_the_passphrase),
        TEST(a_wrong_passphrase_is_said_in_words),
        TEST(keys_are_never_overwritten),
        TEST(a_missing_or_readable_key_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
