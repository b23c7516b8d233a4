#include "aggregator/retention.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hex.h"
#include "tests/aggregator/sample.h"

enum { HOUR = 3600, NOW = 1800000000 };

static const uint8_t run_id[MESSAGE_RUN_BYTES] = {0xab};
static const struct site_set survivors = {.n = 2, .id = {1, 3}};
static const uint8_t roots[2][HASH_BYTES] = {{0x11}, {0x22}};

static enum choir_err give(void *context, uint32_t site, const uint8_t root[static HASH_BYTES],
                           int folder, const char *name)
{
    int fd;

    (void)root;
    if (context != NULL && site == *(const uint32_t *)context)
        return CHOIR_ERR_MISSING;
    fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "masked", 6), 6);
    close(fd);
    return CHOIR_OK;
}

// Where the vector of survivor number i in this round is; `to` has room for 256.
static const char *vector_path(const struct sample *sample, uint64_t round, size_t i, char *to)
{
    char run[2 * MESSAGE_RUN_BYTES + 1], root[2 * HASH_BYTES + 1];

    hex_put(run, run_id, sizeof run_id);
    hex_put(root, roots[i], HASH_BYTES);
    snprintf(to, 256, "%s/%s-%010" PRIu64 "/%u-%s.masked", sample->folder, run, round,
             survivors.id[i], root);
    return to;
}

static bool is_there(const struct sample *sample, uint64_t round)
{
    char path[256];

    return access(vector_path(sample, round, 0, path), F_OK) == 0;
}

// As if the round had been kept at that time.
static void set_time(const struct sample *sample, uint64_t round, uint64_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = (time_t)seconds}, {.tv_sec = (time_t)seconds}};
    char path[256];

    vector_path(sample, round, 0, path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void keep(const struct sample *sample, struct retention *retention, uint64_t round,
                 uint64_t now)
{
    assert_int_equal(retention_keep(retention, run_id, round, &survivors, roots, give, NULL, now),
                     CHOIR_OK);
    assert_true(is_there(sample, round));
    set_time(sample, round, now);
}

static struct retention *open_retention(const struct sample *sample, uint32_t hours, uint64_t now)
{
    struct retention *retention = NULL;

    assert_int_equal(retention_open(sample->folder, hours, now, &retention), CHOIR_OK);
    return retention;
}

static void without_a_time_only_the_newest_round_is_kept(void **state)
{
    struct retention *retention = open_retention(*state, 0, NOW);

    for (uint64_t round = 1; round <= 4; round++) {
        keep(*state, retention, round, NOW + round);
        assert_false(is_there(*state, round - 1));
    }
    retention_expire(retention, NOW + UINT64_C(1000) * HOUR); // however long ago
    assert_true(is_there(*state, 4));
    retention_close(retention);
}

static void rounds_are_kept_for_the_stated_time(void **state)
{
    struct retention *retention = open_retention(*state, 2, NOW);

    keep(*state, retention, 1, NOW);
    keep(*state, retention, 2, NOW + HOUR);
    keep(*state, retention, 3, NOW + 2 * HOUR);
    assert_true(is_there(*state, 1));
    retention_expire(retention, NOW + 2 * HOUR + 1);
    assert_false(is_there(*state, 1));
    assert_true(is_there(*state, 2));
    keep(*state, retention, 4, NOW + 3 * HOUR + 1);
    assert_false(is_there(*state, 2));
    assert_true(is_there(*state, 3));
    retention_close(retention);
}

static void what_is_due_goes_when_the_program_starts(void **state)
{
    struct retention *retention = open_retention(*state, 2, NOW);

    keep(*state, retention, 1, NOW);
    keep(*state, retention, 2, NOW + HOUR);
    keep(*state, retention, 3, NOW + 2 * HOUR);
    retention_close(retention);
    retention = open_retention(*state, 2, NOW + 2 * HOUR + 1);
    assert_false(is_there(*state, 1));
    assert_true(is_there(*state, 2));
    retention_close(retention);
    retention = open_retention(*state, 0, NOW + 2 * HOUR + 2); // the setting was changed
    assert_false(is_there(*state, 2));
    assert_true(is_there(*state, 3));
    retention_close(retention);
}

static void what_is_no_round_is_left_alone(void **state)
{
    struct sample *sample = *state;
    struct retention *retention = open_retention(sample, 0, NOW);
    char path[128];

    assert_int_equal(mkdir(sample_path(sample, "notes", path), 0700), 0);
    keep(sample, retention, 1, NOW);
    keep(sample, retention, 2, NOW + 1);
    assert_true(sample_has(sample, "notes"));
    assert_int_equal(rmdir(sample_path(sample, "notes", path)), 0);
    retention_close(retention);
}

static void a_vector_that_is_gone_is_said(void **state)
{
    uint32_t gone = 1;
    char path[256];
    struct retention *retention = open_retention(*state, 0, NOW);

    assert_int_equal(retention_keep(retention, run_id, 1, &survivors, roots, give, &gone, NOW),
                     CHOIR_ERR_MISSING);
    assert_false(is_there(*state, 1));
    vector_path(*state, 1, 1, path); // the others can still be checked against their roots
    assert_int_equal(access(path, F_OK), 0);
    retention_close(retention);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_time_only_the_newest_round_is_kept),
        TEST(rounds_are_kept_for_the_stated_time),
        TEST(what_is_due_goes_when_the_program_starts),
        TEST(what_is_no_round_is_left_alone),
        TEST(a_vector_that_is_gone_is_said),
    };

    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
