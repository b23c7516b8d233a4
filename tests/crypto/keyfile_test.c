#include "crypto/keyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/rng.h"

enum { OPS_AT = 10, MEMORY_AT = 14 };

static char folder[] = "/tmp/choir-keyfile-XXXXXX";
static char path[64];
static const uint8_t bundle[] = "thirty-two secret bytes or more..";

static int make_folder(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK || mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/keys", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int seal_one(void **state)
{
    (void)state;
    return keyfile_seal(path, "courier", KEYFILE_COST_MIN, "open sesame", bundle, sizeof bundle) ==
                   CHOIR_OK
               ? 0
               : -1;
}

static enum choir_err open_with(const char *purpose, const char *passphrase)
{
    uint8_t *secret = NULL;
    size_t len = 0;
    enum choir_err err = keyfile_open(path, purpose, passphrase, &secret, &len);

    keyfile_free(secret);
    return err;
}

static size_t read_file(uint8_t *to, size_t max)
{
    FILE *file = fopen(path, "rb");
    size_t len;

    assert_non_null(file);
    len = fread(to, 1, max, file);
    fclose(file);
    return len;
}

static void write_file(const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static void a_sealed_bundle_opens_with_its_passphrase(void **state)
{
    uint8_t *secret = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(keyfile_open(path, "courier", "open sesame", &secret, &len), CHOIR_OK);
    assert_int_equal(len, sizeof bundle);
    assert_memory_equal(secret, bundle, len);
    keyfile_free(secret);
}

static void the_moderate_cost_opens_too(void **state)
{
    (void)state;
    assert_int_equal(
        keyfile_seal(path, "courier", KEYFILE_COST_MODERATE, "open sesame", bundle, sizeof bundle),
        CHOIR_OK);
    assert_int_equal(open_with("courier", "open sesame"), CHOIR_OK);
}

static void another_passphrase_or_purpose_opens_nothing(void **state)
{
    (void)state;
    assert_int_equal(open_with("courier", "open sesam"), CHOIR_ERR_FORGED);
    assert_int_equal(open_with("courier", ""), CHOIR_ERR_FORGED);
    assert_int_equal(open_with("vault", "open sesame"), CHOIR_ERR_FORGED);
}

static void the_bundle_is_not_readable_in_the_file(void **state)
{
    uint8_t file[2048];
    size_t len = read_file(file, sizeof file);

    (void)state;
    assert_null(memmem(file, len, bundle, 8));
    assert_non_null(memmem(file, len, "courier", 7));
}

static void only_the_owner_may_read_the_file(void **state)
{
    struct stat about;

    (void)state;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    for (unsigned bit = 1; bit <= 040; bit *= 2) {
        assert_int_equal(chmod(path, 0600 | bit), 0);
        assert_int_equal(open_with("courier", "open sesame"), CHOIR_ERR_REFUSED);
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(open_with("courier", "open sesame"), CHOIR_OK);
}

static void every_changed_bit_and_every_cut_is_found(void **state)
{
    uint8_t file[2048];
    size_t len = read_file(file, sizeof file);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        // the cost decides how long the test takes; it has a test of its own
        if (i < OPS_AT || i >= MEMORY_AT + 8) {
            file[i] ^= (uint8_t)(1 << i % 8);
            write_file(file, len);
            assert_int_not_equal(open_with("courier", "open sesame"), CHOIR_OK);
            file[i] ^= (uint8_t)(1 << i % 8);
        }
        write_file(file, i);
        assert_int_equal(open_with("courier", "open sesame"), CHOIR_ERR_FORMAT);
    }
}

static void a_planted_cost_is_refused_without_work(void **state)
{
    uint8_t file[2048];
    size_t len = read_file(file, sizeof file);

    (void)state;
    put_u32(file + OPS_AT, KEYFILE_OPS_MAX + 1);
    write_file(file, len);
    assert_int_equal(open_with("courier", "open sesame"), CHOIR_ERR_FORMAT);
    put_u32(file + OPS_AT, 0);
    write_file(file, len);
    assert_int_equal(open_with("courier", "open sesame"), CHOIR_ERR_FORMAT);
    put_u32(file + OPS_AT, 1);
    put_u64(file + MEMORY_AT, (uint64_t)KEYFILE_MEMORY_MAX + 1);
    write_file(file, len);
    assert_int_equal(open_with("courier", "open sesame"), CHOIR_ERR_FORMAT);
    put_u64(file + MEMORY_AT, 16384); // allowed, but not what the file was sealed with
    write_file(file, len);
    assert_int_equal(open_with("courier", "open sesame"), CHOIR_ERR_FORGED);
}

static void lengths_outside_the_bounds_are_not_sealed(void **state)
{
    uint8_t big[KEYFILE_SECRET_MAX + 1] = {0};
    char text[KEYFILE_PASSPHRASE_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(keyfile_seal(path, "p", KEYFILE_COST_MIN, "x", big, 0), CHOIR_ERR_FORMAT);
    assert_int_equal(keyfile_seal(path, "p", KEYFILE_COST_MIN, "x", big, sizeof big),
                     CHOIR_ERR_FORMAT);
    assert_int_equal(keyfile_seal(path, "p", KEYFILE_COST_MIN, "", big, 1), CHOIR_ERR_FORMAT);
    assert_int_equal(keyfile_seal(path, "p", KEYFILE_COST_MIN, text, big, 1), CHOIR_ERR_FORMAT);
    assert_int_equal(keyfile_seal(path, text, KEYFILE_COST_MIN, "x", big, 1), CHOIR_ERR_FORMAT);
    assert_int_equal(keyfile_seal(path, "p", KEYFILE_COST_MIN, "x", big, KEYFILE_SECRET_MAX),
                     CHOIR_OK);
}

static void a_missing_file_and_a_folder_are_told_apart(void **state)
{
    uint8_t *secret = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(keyfile_open("/tmp/choir-no-such-file", "p", "x", &secret, &len),
                     CHOIR_ERR_MISSING);
    assert_int_equal(keyfile_open(folder, "p", "x", &secret, &len), CHOIR_ERR_REFUSED);
}

static void assert_passphrase(const char *content, enum choir_err err, const char *expected)
{
    char *passphrase = NULL;

    unlink(path);
    write_file((const uint8_t *)content, strlen(content));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(keyfile_passphrase(path, &passphrase), err);
    if (expected != NULL)
        assert_string_equal(passphrase, expected);
    keyfile_free(passphrase);
}

static void the_first_line_is_the_passphrase(void **state)
{
    char *passphrase = NULL;

    (void)state;
    assert_passphrase("correct horse\n", CHOIR_OK, "correct horse");
    assert_passphrase("correct horse\r\nbattery\n", CHOIR_OK, "correct horse");
    assert_passphrase("correct horse", CHOIR_OK, "correct horse");
    assert_passphrase("\nsecond", CHOIR_ERR_FORMAT, NULL);
    assert_passphrase("", CHOIR_ERR_FORMAT, NULL);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(keyfile_passphrase(path, &passphrase), CHOIR_ERR_REFUSED);
}

static void a_fresh_passphrase_is_made_once_and_then_used(void **state)
{
    char *first = NULL, *again = NULL;
    struct stat about;
    bool made = false;

    (void)state;
    unlink(path);
    assert_int_equal(keyfile_passphrase_make(path, &made), CHOIR_OK);
    assert_true(made);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(keyfile_passphrase(path, &first), CHOIR_OK);
    assert_int_equal(strlen(first), 48);
    assert_int_equal(keyfile_passphrase_make(path, &made), CHOIR_OK);
    assert_false(made);
    assert_int_equal(keyfile_passphrase(path, &again), CHOIR_OK);
    assert_string_equal(first, again);
    keyfile_free(first);
    keyfile_free(again);
}

#define TEST(f) cmocka_unit_test_setup(f, seal_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sealed_bundle_opens_with_its_passphrase),
        TEST(the_moderate_cost_opens_too),
        TEST(another_passphrase_or_purpose_opens_nothing),
        TEST(the_bundle_is_not_readable_in_the_file),
        TEST(only_the_owner_may_read_the_file),
        TEST(every_changed_bit_and_every_cut_is_found),
        TEST(a_planted_cost_is_refused_without_work),
        TEST(lengths_outside_the_bounds_are_not_sealed),
        TEST(a_missing_file_and_a_folder_are_told_apart),
        TEST(the_first_line_is_the_passphrase),
        TEST(a_fresh_passphrase_is_made_once_and_then_used),
    };

    return cmocka_run_group_tests_name("keyfile", tests, make_folder, remove_folder);
}
