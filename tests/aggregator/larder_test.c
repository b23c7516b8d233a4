/* The model that a relay serves: fetched once, by its hash, and found again. */
#include "aggregator/larder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/hex.h"
#include "crypto/rng.h"
#include "wire/transfer.h"

enum { LEN = 700000 };

static char folder[64];
static struct larder *larder;
static uint8_t model[LEN], hash[HASH_BYTES];
static uint8_t room[BULK_BYTES_MAX];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/choir-larder-XXXXXX");
    if (rng_start() != CHOIR_OK || mkdtemp(folder) == NULL)
        return -1;
    rng_bytes(model, sizeof model);
    hash_bytes(hash, model, sizeof model);
    return larder_open(folder, &larder) == CHOIR_OK ? 0 : -1;
}

static enum choir_err erase(void *context, const char *name)
{
    return unlinkat(*(int *)context, name, 0) == 0 ? CHOIR_OK : CHOIR_ERR_IO;
}

static int teardown(void **state)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum choir_err err = folder_each(fd, erase, &fd);

    (void)state;
    larder_close(larder);
    larder = NULL;
    close(fd);
    return err == CHOIR_OK ? rmdir(folder) : -1;
}

// Plays the aggregator, which serves `content` under the id of the model, until nobody says more.
static enum choir_err fetch(const uint8_t *content, bool *changed)
{
    struct source *source = NULL;
    struct sender *sender = NULL;
    enum choir_err err = CHOIR_OK;
    size_t len = 0;

    *changed = false;
    assert_int_equal(source_of_memory(hash, content, LEN, &source), CHOIR_OK);
    assert_int_equal(sender_new(source, true, &sender), CHOIR_OK);
    for (bool quiet = false; err == CHOIR_OK && !quiet && !*changed;) {
        struct bulk_message message;

        quiet = true;
        while (larder_next(larder, 1000, room, sizeof room, &len) == CHOIR_OK) {
            quiet = false;
            assert_int_equal(bulk_decode(room, len, &message), CHOIR_OK);
            assert_int_equal(sender_take(sender, &message, 1000), CHOIR_OK);
        }
        while (err == CHOIR_OK && !*changed &&
               sender_next(sender, 1000, room, sizeof room, &len) == CHOIR_OK) {
            quiet = false;
            assert_int_equal(bulk_decode(room, len, &message), CHOIR_OK);
            err = larder_take(larder, &message, 1000, changed);
        }
    }
    sender_free(sender);
    source_free(source);
    return err;
}

static void a_model_is_fetched_and_served_by_its_hash(void **state)
{
    bool here = true, changed = false;

    (void)state;
    assert_null(larder_source(larder));
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_false(here);
    assert_true(larder_is_fetching(larder, hash));
    assert_int_equal(fetch(model, &changed), CHOIR_OK);
    assert_true(changed);
    assert_false(larder_is_fetching(larder, hash));
    assert_memory_equal(source_id(larder_source(larder)), hash, HASH_BYTES);
    assert_int_equal(source_bytes(larder_source(larder)), LEN);
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_true(here);
}

static void what_has_another_hash_is_never_served(void **state)
{
    bool here = true, changed = false;

    (void)state;
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    model[12345] ^= 1;
    assert_int_equal(fetch(model, &changed), CHOIR_ERR_FORGED);
    assert_false(changed);
    assert_null(larder_source(larder));
}

static void a_model_is_found_again_after_a_restart(void **state)
{
    bool here = true, changed = false;

    (void)state;
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_int_equal(fetch(model, &changed), CHOIR_OK);
    larder_close(larder);
    assert_int_equal(larder_open(folder, &larder), CHOIR_OK);
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_true(here);
}

static void a_model_that_was_damaged_on_disk_is_fetched_anew(void **state)
{
    char name[2 * HASH_BYTES + 1], path[256];
    bool here = true;

    (void)state;
    hex_put(name, hash, HASH_BYTES);
    snprintf(path, sizeof path, "%s/%s.model", folder, name);
    assert_int_equal(file_replace(AT_FDCWD, path, 0600, model, LEN - 1), CHOIR_OK);
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_false(here);
    assert_true(larder_is_fetching(larder, hash));
}

static void the_old_model_is_served_until_the_new_one_is_here(void **state)
{
    uint8_t before[HASH_BYTES];
    bool here = true, changed = false;

    (void)state;
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_int_equal(fetch(model, &changed), CHOIR_OK);
    memcpy(before, hash, HASH_BYTES);
    model[0] ^= 1;
    hash_bytes(hash, model, LEN);
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_memory_equal(source_id(larder_source(larder)), before, HASH_BYTES);
    assert_int_equal(fetch(model, &changed), CHOIR_OK);
    assert_memory_equal(source_id(larder_source(larder)), hash, HASH_BYTES);
}

static void a_refused_fetch_is_tried_again(void **state)
{
    struct bulk_message refusal = {.kind = BULK_REFUSED, .code = BULK_UNKNOWN}, found;
    bool here = true, changed = false;
    size_t len = 0;

    (void)state;
    assert_int_equal(larder_want(larder, hash, LEN, &here), CHOIR_OK);
    assert_int_equal(larder_next(larder, 1000, room, sizeof room, &len), CHOIR_OK);
    memcpy(refusal.id, hash, HASH_BYTES);
    assert_int_equal(larder_take(larder, &refusal, 1000, &changed), CHOIR_OK);
    assert_int_equal(larder_next(larder, 1500, room, sizeof room, &len), CHOIR_ERR_AGAIN);
    assert_int_equal(larder_next(larder, 3100, room, sizeof room, &len), CHOIR_OK);
    assert_int_equal(bulk_decode(room, len, &found), CHOIR_OK);
    assert_int_equal(found.kind, BULK_FETCH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_model_is_fetched_and_served_by_its_hash),
        TEST(what_has_another_hash_is_never_served),
        TEST(a_model_is_found_again_after_a_restart),
        TEST(a_model_that_was_damaged_on_disk_is_fetched_anew),
        TEST(the_old_model_is_served_until_the_new_one_is_here),
        TEST(a_refused_fetch_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
