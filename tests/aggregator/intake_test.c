#include "aggregator/intake.h"

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
#include "crypto/rng.h"
#include "tests/aggregator/sample.h"

enum { SITE = 2, BYTES = 5 * BULK_CHUNK_BYTES / 2, WIRE_MAX = 64, STEP_MS = 100, STEPS_MAX = 900 };

/* A site that uploads its vector, and the messages on their way in both directions. */
struct world {
    struct intake *intake;
    struct source *source;
    struct sender *sender;
    uint64_t now_ms;
    size_t n_whole, n_data;
    bool shuffle, repeat;
    size_t n;
    struct {
        uint8_t *bytes; // one of `wire`, each in one place of this array
        size_t len;
    } up[WIRE_MAX];
};

static uint8_t room[BULK_BYTES_MAX], wire[WIRE_MAX][BULK_BYTES_MAX], vector[BYTES];

// The Merkle root is found by a first source; the second one carries it as its id.
static void world_open(struct world *world, const struct sample *sample)
{
    uint8_t root[HASH_BYTES] = {0};
    struct source *first = NULL;

    memset(world, 0, sizeof *world);
    world->now_ms = 1000;
    for (size_t i = 0; i < WIRE_MAX; i++)
        world->up[i].bytes = wire[i];
    rng_bytes(vector, BYTES);
    assert_int_equal(source_of_memory(root, vector, BYTES, &first), CHOIR_OK);
    memcpy(root, source_root(first), HASH_BYTES);
    source_free(first);
    assert_int_equal(source_of_memory(root, vector, BYTES, &world->source), CHOIR_OK);
    assert_int_equal(sender_new(world->source, false, &world->sender), CHOIR_OK);
    assert_int_equal(intake_open(sample->folder, 4, &world->intake), CHOIR_OK);
}

static void world_close(struct world *world)
{
    sender_free(world->sender);
    source_free(world->source);
    intake_close(world->intake);
}

static void put(struct world *world, const uint8_t *bytes, size_t len)
{
    if (world->n == WIRE_MAX)
        return;
    memcpy(world->up[world->n].bytes, bytes, len);
    world->up[world->n++].len = len;
}

// Takes one message from the wire: the first, or any of them.
static void deliver_one(struct world *world)
{
    size_t at = world->shuffle ? (size_t)(world->now_ms * 7919 % world->n) : 0;
    struct bulk_message message;
    enum intake_news news;
    uint8_t *done;

    assert_int_equal(bulk_decode(world->up[at].bytes, world->up[at].len, &message), CHOIR_OK);
    assert_int_equal(intake_take(world->intake, SITE, &message, world->now_ms, &news), CHOIR_OK);
    world->n_whole += news == INTAKE_WHOLE;
    done = world->up[at].bytes;
    world->up[at] = world->up[--world->n];
    world->up[world->n].bytes = done;
}

static void step(struct world *world)
{
    struct bulk_message message;
    size_t len = 0;

    world->now_ms += STEP_MS;
    while (sender_next(world->sender, world->now_ms, room, sizeof room, &len) == CHOIR_OK) {
        world->n_data += room[1] == BULK_DATA;
        put(world, room, len);
        if (world->repeat)
            put(world, room, len);
    }
    while (world->n > 0)
        deliver_one(world);
    while (intake_next(world->intake, SITE, world->now_ms, room, sizeof room, &len) == CHOIR_OK) {
        assert_int_equal(bulk_decode(room, len, &message), CHOIR_OK);
        assert_int_equal(sender_take(world->sender, &message, world->now_ms), CHOIR_OK);
    }
}

static void run_until_sent(struct world *world)
{
    for (int i = 0; i < STEPS_MAX && sender_state(world->sender) != TRANSFER_DONE; i++)
        step(world);
    assert_int_equal(sender_state(world->sender), TRANSFER_DONE);
}

static void assert_vector_is_here(const struct world *world)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    int fd = -1;

    assert_int_equal(intake_file(world->intake, SITE, source_id(world->source), &fd), CHOIR_OK);
    assert_int_equal(file_read_fd(fd, BYTES, &bytes, &len), CHOIR_OK);
    assert_int_equal(len, BYTES);
    assert_memory_equal(bytes, vector, BYTES);
    free(bytes);
    close(fd);
}

static bool expect(struct world *world)
{
    bool here = false;

    assert_int_equal(intake_expect(world->intake, SITE, source_id(world->source), BYTES, &here),
                     CHOIR_OK);
    return here;
}

static void a_vector_arrives_whole_from_repeated_and_shuffled_chunks(void **state)
{
    struct world world;

    world_open(&world, *state);
    world.shuffle = world.repeat = true;
    assert_false(expect(&world));
    run_until_sent(&world);
    assert_int_equal(world.n_whole, 1);
    assert_vector_is_here(&world);
    assert_true(expect(&world)); // asked again, it is there
    world_close(&world);
}

static void a_vector_announced_too_early_is_asked_for(void **state)
{
    struct bulk_message message;
    enum intake_news news;
    struct world world;
    size_t len = 0;

    world_open(&world, *state);
    assert_int_equal(sender_next(world.sender, world.now_ms, room, sizeof room, &len), CHOIR_OK);
    assert_int_equal(bulk_decode(room, len, &message), CHOIR_OK);
    assert_int_equal(intake_take(world.intake, SITE, &message, world.now_ms, &news),
                     CHOIR_ERR_PEER);
    while (sender_next(world.sender, world.now_ms, room, sizeof room, &len) == CHOIR_OK) {
        // lost
    }
    assert_false(expect(&world));
    for (int i = 0; i < 8; i++) // less than the patience of the site
        step(&world);
    assert_int_equal(world.n_whole, 1);
    assert_vector_is_here(&world);
    world_close(&world);
}

static void after_a_lost_connection_only_what_is_missing_is_sent(void **state)
{
    struct world world;

    world_open(&world, *state);
    assert_false(expect(&world));
    step(&world); // OPEN and hashes; the chunks are asked for
    world.now_ms += STEP_MS;
    for (size_t len = 0, n = 0;
         n < 1 && sender_next(world.sender, world.now_ms, room, sizeof room, &len) == CHOIR_OK; n++)
        put(&world, room, len);
    deliver_one(&world); // one of three chunks, then the line is cut
    sender_reopen(world.sender);
    intake_reopen(world.intake, SITE);
    run_until_sent(&world);
    assert_int_equal(world.n_whole, 1);
    assert_int_equal(world.n_data, 2);
    assert_vector_is_here(&world);
    world_close(&world);
}

static void after_a_restart_a_whole_vector_is_here_and_not_sent_again(void **state)
{
    struct sample *sample = *state;
    struct world world;

    world_open(&world, sample);
    assert_false(expect(&world));
    run_until_sent(&world);
    intake_close(world.intake);
    world.intake = NULL;
    sender_free(world.sender);
    world.sender = NULL;
    world.n_data = 0;
    assert_int_equal(intake_open(sample->folder, 4, &world.intake), CHOIR_OK);
    assert_int_equal(sender_new(world.source, false, &world.sender), CHOIR_OK);
    assert_true(expect(&world));
    run_until_sent(&world);
    assert_int_equal(world.n_data, 0);
    assert_vector_is_here(&world);
    world_close(&world);
}

static void another_vector_than_the_one_announced_is_refused(void **state)
{
    uint8_t other[HASH_BYTES] = {3};
    struct bulk_message message = {.kind = BULK_OPEN, .bytes = BYTES};
    enum intake_news news;
    struct world world;
    bool here = false;
    int fd = -1;

    world_open(&world, *state);
    assert_int_equal(intake_expect(world.intake, SITE, other, BYTES, &here), CHOIR_OK);
    memcpy(message.id, source_id(world.source), HASH_BYTES); // unknown here
    memcpy(message.root, source_root(world.source), HASH_BYTES);
    assert_int_equal(intake_take(world.intake, SITE, &message, world.now_ms, &news),
                     CHOIR_ERR_PEER);
    memcpy(message.id, other, HASH_BYTES); // known, and not what was signed
    assert_int_equal(intake_take(world.intake, SITE, &message, world.now_ms, &news),
                     CHOIR_ERR_FORGED);
    assert_int_equal(news, INTAKE_NOTHING);
    assert_int_equal(intake_file(world.intake, SITE, other, &fd), CHOIR_ERR_MISSING);
    world_close(&world);
}

static void a_model_is_served_by_its_hash(void **state)
{
    struct bulk_message message = {.kind = BULK_FETCH};
    enum intake_news news;
    struct world world;
    size_t len = 0;

    world_open(&world, *state);
    intake_serve(world.intake, world.source);
    assert_int_equal(intake_take(world.intake, SITE, &message, world.now_ms, &news),
                     CHOIR_ERR_PEER); // no such model
    memcpy(message.id, source_id(world.source), HASH_BYTES);
    assert_int_equal(intake_take(world.intake, SITE, &message, world.now_ms, &news), CHOIR_OK);
    assert_int_equal(intake_next(world.intake, SITE, world.now_ms, room, sizeof room, &len),
                     CHOIR_OK);
    assert_int_equal(bulk_decode(room, len, &message), CHOIR_OK);
    assert_int_equal(message.kind, BULK_OPEN);
    intake_unsent(world.intake, SITE);
    assert_int_equal(intake_next(world.intake, SITE, world.now_ms, room, sizeof room, &len),
                     CHOIR_OK);
    assert_int_equal(bulk_decode(room, len, &message), CHOIR_OK);
    assert_int_equal(message.kind, BULK_OPEN);
    world_close(&world);
}

static void a_dropped_or_cleared_vector_leaves_no_file(void **state)
{
    struct world world;
    int fd = -1;

    world_open(&world, *state);
    assert_false(expect(&world));
    step(&world);
    intake_drop(world.intake, SITE);
    assert_int_equal(rmdir(((struct sample *)*state)->folder), 0); // empty
    assert_int_equal(folder_make(((struct sample *)*state)->folder), CHOIR_OK);
    world_close(&world);

    world_open(&world, *state);
    assert_false(expect(&world));
    run_until_sent(&world);
    intake_clear(world.intake);
    assert_int_equal(intake_file(world.intake, SITE, source_id(world.source), &fd),
                     CHOIR_ERR_MISSING);
    world_close(&world);
}

static void a_site_keeps_one_vector_whatever_it_announces(void **state)
{
    struct world world;
    bool here = true;
    int fd = -1;

    world_open(&world, *state);
    assert_false(expect(&world));
    run_until_sent(&world);
    intake_drop(world.intake, SITE); // the attempt is over, and the next one has another vector
    for (uint8_t i = 1; i < 20; i++) {
        const uint8_t other[HASH_BYTES] = {i};

        assert_int_equal(intake_expect(world.intake, SITE, other, BYTES, &here), CHOIR_OK);
        assert_false(here);
    }
    assert_int_equal(intake_file(world.intake, SITE, source_id(world.source), &fd),
                     CHOIR_ERR_MISSING);
    intake_drop(world.intake, SITE);
    assert_int_equal(rmdir(((struct sample *)*state)->folder), 0); // empty
    assert_int_equal(folder_make(((struct sample *)*state)->folder), CHOIR_OK);
    world_close(&world);
}

static void only_vectors_of_the_survivors_stay(void **state)
{
    const struct site_set with = {.n = 2, .id = {SITE, SITE + 1}},
                          without = {.n = 1, .id = {SITE + 1}};
    struct sample *sample = *state;
    struct world world;
    int fd = -1, stray;
    char path[128], other[80];

    world_open(&world, sample);
    assert_false(expect(&world));
    run_until_sent(&world);
    // of another attempt of the same site, and half of one of a site that is lost
    snprintf(other, sizeof other, "%d-%064d", SITE, 7);
    stray = open(sample_path(sample, other, path), O_WRONLY | O_CREAT, 0600);
    assert_true(stray >= 0);
    close(stray);
    snprintf(other, sizeof other, "%d-%064d.part", SITE + 2, 7);
    stray = open(sample_path(sample, other, path), O_WRONLY | O_CREAT, 0600);
    assert_true(stray >= 0);
    close(stray);
    assert_int_equal(intake_keep_only(world.intake, &with), CHOIR_OK);
    assert_vector_is_here(&world);
    assert_false(sample_has(sample, other));
    snprintf(other, sizeof other, "%d-%064d", SITE, 7);
    assert_false(sample_has(sample, other));
    assert_int_equal(intake_keep_only(world.intake, &without), CHOIR_OK);
    assert_int_equal(intake_file(world.intake, SITE, source_id(world.source), &fd),
                     CHOIR_ERR_MISSING);
    world_close(&world);
}

static void after_a_restart_the_vectors_of_lost_sites_go_and_the_others_stay(void **state)
{
    const struct site_set with = {.n = 1, .id = {SITE}}, without = {.n = 1, .id = {SITE + 1}};
    struct sample *sample = *state;
    struct world world;
    int fd = -1;

    world_open(&world, sample);
    assert_false(expect(&world));
    run_until_sent(&world);
    intake_close(world.intake);
    assert_int_equal(intake_open(sample->folder, 4, &world.intake), CHOIR_OK);
    assert_int_equal(intake_keep_only(world.intake, &with), CHOIR_OK);
    assert_vector_is_here(&world);
    assert_int_equal(intake_keep_only(world.intake, &without), CHOIR_OK);
    assert_int_equal(intake_file(world.intake, SITE, source_id(world.source), &fd),
                     CHOIR_ERR_MISSING);
    world_close(&world);
}

static void a_vector_can_be_given_away(void **state)
{
    struct sample *sample = *state;
    int folder = open(sample->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct world world;

    assert_true(folder >= 0);
    world_open(&world, sample);
    assert_false(expect(&world));
    run_until_sent(&world);
    assert_int_equal(
        intake_give(world.intake, SITE, source_id(world.source), folder, "kept.masked"), CHOIR_OK);
    assert_true(sample_has(sample, "kept.masked"));
    assert_int_equal(
        intake_give(world.intake, SITE, source_id(world.source), folder, "kept.masked"),
        CHOIR_ERR_MISSING);
    close(folder);
    world_close(&world);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_vector_arrives_whole_from_repeated_and_shuffled_chunks),
        TEST(a_vector_announced_too_early_is_asked_for),
        TEST(after_a_lost_connection_only_what_is_missing_is_sent),
        TEST(after_a_restart_a_whole_vector_is_here_and_not_sent_again),
        TEST(another_vector_than_the_one_announced_is_refused),
        TEST(a_model_is_served_by_its_hash),
        TEST(a_dropped_or_cleared_vector_leaves_no_file),
        TEST(a_site_keeps_one_vector_whatever_it_announces),
        TEST(only_vectors_of_the_survivors_stay),
        TEST(after_a_restart_the_vectors_of_lost_sites_go_and_the_others_stay),
        TEST(a_vector_can_be_given_away),
    };

    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
