#include "aggregator/global.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hex.h"
#include "tests/aggregator/sample.h"

// More parameters than fit into one segment of a vector.
static const char small_layers[] = "\"units\": 4, \"activation\": \"tanh\"},\n"
                                   "   {\"kind\": \"dense\", \"units\": 4";
static const char large_layers[] = "\"units\": 300, \"activation\": \"tanh\"},\n"
                                   "   {\"kind\": \"dense\", \"units\": 300";

static const char fedavg[] = "\"fedavg\", \"learning_rate\": 1.0";
static const char fedadam[] = "\"fedadam\", \"learning_rate\": 0.1, \"beta1\": 0.9, "
                              "\"beta2\": 0.99, \"tau\": 0.001";

#define ROUND(number, files, count, weights)     \
    ((struct global_round){.round_no = (number), \
                           .fds = (files),       \
                           .n = (count),         \
                           .n_sites = (count),   \
                           .weight_sum = (weights)})

static size_t n_files(const char *folder)
{
    struct dirent *entry;
    size_t n = 0;
    DIR *dir = opendir(folder);

    assert_non_null(dir);
    // cppcheck-suppress readdirCalled ; a stream of its own
    while ((entry = readdir(dir)) != NULL) // NOLINT(concurrency-mt-unsafe)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static float *copy_of(const float *params, size_t n)
{
    float *copy = malloc(n * sizeof *copy);

    assert_non_null(copy);
    memcpy(copy, params, n * sizeof *copy);
    return copy;
}

// One merge of all three sites, whose updates are 0.5 at `index` and zero elsewhere.
static enum choir_err merge_once(struct global *global, const struct plan *plan, uint64_t round_no,
                                 size_t index)
{
    struct choir_diag diag = {0};
    uint8_t sum_hash[HASH_BYTES];
    int fds[SAMPLE_SITES];
    enum choir_err err;

    for (size_t i = 0; i < SAMPLE_SITES; i++)
        fds[i] = sample_update_file(plan, index, 0.5F);
    err = global_merge(global, &ROUND(round_no, fds, SAMPLE_SITES, 2.5), sum_hash, NULL, &diag);
    for (size_t i = 0; i < SAMPLE_SITES; i++)
        close(fds[i]);
    return err;
}

static void the_sum_of_one_hot_updates_is_exact_in_every_segment(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = sample_plan(small_layers, large_layers);
    const size_t index[SAMPLE_SITES] = {0, 70000, plan->n_params - 1};
    struct choir_diag diag = {0};
    struct global *global = NULL;
    uint8_t sum_hash[HASH_BYTES], digests[SAMPLE_SITES][HASH_BYTES], digest[HASH_BYTES];
    size_t len = 0;
    uint8_t *update;
    float *before;
    int fds[SAMPLE_SITES];

    assert_true(plan->n_params > 70000);
    assert_int_equal(global_open(sample->folder, plan, &global), CHOIR_OK);
    assert_int_equal(global_init(global), CHOIR_OK);
    before = copy_of(global_params(global), plan->n_params);
    for (size_t i = 0; i < SAMPLE_SITES; i++)
        fds[i] = sample_update_file(plan, index[i], 0.5F);
    assert_int_equal(
        global_merge(global, &ROUND(1, fds, SAMPLE_SITES, 2.5), sum_hash, digests, &diag),
        CHOIR_OK);
    for (size_t i = 0; i < SAMPLE_SITES; i++)
        before[index[i]] += (float)(0.5 / 2.5);
    assert_memory_equal(global_params(global), before, plan->n_params * sizeof *before);

    update = sample_update(plan, index[1], 0.5F, &len);
    assert_int_equal(len, global_update_bytes(global));
    hash_bytes(digest, update, len);
    assert_memory_equal(digests[1], digest, HASH_BYTES);
    free(update);
    for (size_t i = 0; i < SAMPLE_SITES; i++)
        close(fds[i]);
    free(before);
    global_close(global);
    plan_free(plan);
}

static void an_update_counted_twice_is_refused_and_the_model_stays(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = sample_plan(NULL, NULL);
    struct choir_diag diag = {0};
    struct global *global = NULL;
    uint8_t hash[HASH_BYTES], sum_hash[HASH_BYTES];
    size_t len = 0;
    uint8_t *update = sample_update(plan, 1, 0.5F, &len);
    uint32_t two = 2;
    float *before;
    int fds[2] = {sample_update_file(plan, 0, 0.5F), sample_update_file(plan, 1, 0.5F)};

    // the last lane is the constant of the only segment
    memcpy(update + len - sizeof two, &two, sizeof two);
    assert_int_equal(pwrite(fds[1], update, len, 0), len);
    assert_int_equal(global_open(sample->folder, plan, &global), CHOIR_OK);
    assert_int_equal(global_init(global), CHOIR_OK);
    before = copy_of(global_params(global), plan->n_params);
    memcpy(hash, global_hash(global), HASH_BYTES);
    assert_int_equal(global_merge(global, &ROUND(1, fds, 2, 1.5), sum_hash, NULL, &diag),
                     CHOIR_ERR_FORGED);
    assert_string_equal(diag.place, "segment 1 of 1");
    assert_memory_equal(global_hash(global), hash, HASH_BYTES);
    assert_memory_equal(global_params(global), before, plan->n_params * sizeof *before);
    close(fds[0]);
    close(fds[1]);
    free(update);
    free(before);
    global_close(global);
    plan_free(plan);
}

static void an_update_that_no_site_can_have_made_is_told_apart(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = sample_plan(NULL, NULL);
    struct global *global = NULL;
    const uint32_t bad[] = {0, 2, UINT32_MAX};
    const int32_t far = INT32_MAX;
    int fd = sample_update_file(plan, 1, 0.5F);
    off_t last;

    assert_int_equal(global_open(sample->folder, plan, &global), CHOIR_OK);
    last = (off_t)(global_update_bytes(global) - sizeof bad[0]);
    assert_int_equal(global_check_update(global, fd), CHOIR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) { // two of them could make up for it
        assert_int_equal(pwrite(fd, &bad[i], sizeof bad[i], last), sizeof bad[i]);
        assert_int_equal(global_check_update(global, fd), CHOIR_ERR_FORGED);
    }
    close(fd);
    fd = sample_update_file(plan, 1, 0.5F);
    assert_int_equal(pwrite(fd, &far, sizeof far, 0), sizeof far);
    assert_int_equal(global_check_update(global, fd), CHOIR_ERR_FORGED);
    close(fd);
    global_close(global);
    plan_free(plan);
}

static void a_short_update_is_an_error_of_the_disk(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = sample_plan(NULL, NULL);
    struct choir_diag diag = {0};
    struct global *global = NULL;
    uint8_t sum_hash[HASH_BYTES];
    int fd = sample_update_file(plan, 0, 0.5F);

    assert_int_equal(ftruncate(fd, 8), 0);
    assert_int_equal(global_open(sample->folder, plan, &global), CHOIR_OK);
    assert_int_equal(global_init(global), CHOIR_OK);
    assert_int_equal(global_merge(global, &ROUND(1, &fd, 1, 1.0), sum_hash, NULL, &diag),
                     CHOIR_ERR_IO);
    assert_int_equal(global_merge(global, &ROUND(1, &fd, 0, 1.0), sum_hash, NULL, &diag),
                     CHOIR_ERR_FORMAT);
    close(fd);
    global_close(global);
    plan_free(plan);
}

// Model and optimiser are each longer than one piece of their files.
static struct plan *large_adam_plan(void)
{
    char *text = sample_plan_text(fedavg, fedadam), *at = strstr(text, small_layers), *large = NULL;
    struct plan *plan = NULL;

    assert_non_null(at);
    *at = '\0';
    assert_true(asprintf(&large, "%s%s%s", text, large_layers, at + strlen(small_layers)) > 0);
    assert_int_equal(plan_read((const uint8_t *)large, strlen(large), "plan", &plan, NULL),
                     CHOIR_OK);
    free(large);
    free(text);
    return plan;
}

static void a_restart_goes_on_with_model_and_optimiser(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = large_adam_plan();
    struct global *straight = NULL, *restarted = NULL;
    uint8_t first[HASH_BYTES], second[HASH_BYTES];

    assert_int_equal(global_open(sample->folder, plan, &straight), CHOIR_OK);
    assert_int_equal(global_init(straight), CHOIR_OK);
    assert_int_equal(merge_once(straight, plan, 1, 3), CHOIR_OK);
    memcpy(first, global_hash(straight), HASH_BYTES);
    assert_int_equal(merge_once(straight, plan, 2, 3), CHOIR_OK);
    memcpy(second, global_hash(straight), HASH_BYTES);
    global_close(straight);

    assert_int_equal(global_open(sample->folder, plan, &restarted), CHOIR_OK);
    assert_int_equal(global_load(restarted, first), CHOIR_OK);
    assert_memory_equal(global_hash(restarted), first, HASH_BYTES);
    assert_int_equal(merge_once(restarted, plan, 2, 3), CHOIR_OK);
    assert_memory_equal(global_hash(restarted), second, HASH_BYTES);
    global_close(restarted);
    plan_free(plan);
}

static void a_changed_model_file_is_not_loaded(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = sample_plan(NULL, NULL);
    struct global *global = NULL;
    uint8_t hash[HASH_BYTES], missing[HASH_BYTES] = {1};
    char name[128], path[256];
    int fd;

    assert_int_equal(global_open(sample->folder, plan, &global), CHOIR_OK);
    assert_int_equal(global_init(global), CHOIR_OK);
    memcpy(hash, global_hash(global), HASH_BYTES);
    hex_put(name, hash, HASH_BYTES);
    snprintf(path, sizeof path, "%s/%s.model", sample->folder, name);
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 70), 1);
    close(fd);
    assert_int_equal(global_load(global, hash), CHOIR_ERR_FORGED);
    assert_int_equal(global_load(global, missing), CHOIR_ERR_MISSING);
    global_close(global);
    plan_free(plan);
}

static void pruning_leaves_the_current_model_and_the_one_named(void **state)
{
    struct sample *sample = *state;
    struct plan *plan = sample_plan(fedavg, fedadam);
    struct global *global = NULL;
    uint8_t first[HASH_BYTES];

    assert_int_equal(global_open(sample->folder, plan, &global), CHOIR_OK);
    assert_int_equal(global_init(global), CHOIR_OK);
    memcpy(first, global_hash(global), HASH_BYTES);
    assert_int_equal(merge_once(global, plan, 1, 0), CHOIR_OK);
    assert_int_equal(merge_once(global, plan, 2, 0), CHOIR_OK);
    assert_int_equal(n_files(sample->folder), 6); // a model and a state each
    global_prune(global, first);
    assert_int_equal(n_files(sample->folder), 4);
    global_prune(global, NULL);
    assert_int_equal(n_files(sample->folder), 2);
    assert_int_equal(global_load(global, first), CHOIR_ERR_MISSING);
    global_close(global);
    plan_free(plan);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_sum_of_one_hot_updates_is_exact_in_every_segment),
        TEST(an_update_counted_twice_is_refused_and_the_model_stays),
        TEST(an_update_that_no_site_can_have_made_is_told_apart),
        TEST(a_short_update_is_an_error_of_the_disk),
        TEST(a_restart_goes_on_with_model_and_optimiser),
        TEST(a_changed_model_file_is_not_loaded),
        TEST(pruning_leaves_the_current_model_and_the_one_named),
    };

    return cmocka_run_group_tests_name("global", tests, NULL, NULL);
}
