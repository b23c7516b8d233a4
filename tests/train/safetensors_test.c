#include "train/safetensors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/train/near.h"

enum { N_PARAMS = 3 * 2 + 2 + 2 + 1 };

static const struct model_spec model = {
    .n_inputs = 3, .n_layers = 2, .layers = {{2, MODEL_TANH}, {1, MODEL_NONE}}};
static const struct safetensors_note notes[] = {{"plan_hash", "00ff"},
                                                {"odd \"key\"", "a\\b\n\xc3\xa9"}};
static float params[N_PARAMS];
static uint8_t *bytes;
static size_t len;

// Parameter i is i / 2 - 3; read_safetensors.py expects that.
static int encode(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PARAMS; i++)
        params[i] = (float)i * 0.5F - 3.0F;
    return safetensors_encode(&model, params, notes, 2, &bytes, &len) == CHOIR_OK ? 0 : -1;
}

static int release(void **state)
{
    (void)state;
    free(bytes);
    bytes = NULL;
    return 0;
}

static void what_was_written_is_read_back(void **state)
{
    float found[N_PARAMS];
    char text[16];

    (void)state;
    assert_int_equal(safetensors_decode(bytes, len, &model, found), CHOIR_OK);
    assert_memory_equal(found, params, sizeof found);
    assert_int_equal(safetensors_note(bytes, len, "odd \"key\"", text, sizeof text), CHOIR_OK);
    assert_string_equal(text, "a\\b\n\xc3\xa9");
    assert_int_equal(safetensors_note(bytes, len, "none", text, sizeof text), CHOIR_ERR_MISSING);
    assert_int_equal(safetensors_note(bytes, len, "plan_hash", text, 4), CHOIR_ERR_FORMAT);
}

static void the_file_has_the_published_layout(void **state)
{
    uint64_t header_len = get_u64(bytes);

    (void)state;
    assert_int_equal(header_len % 8, 0);
    assert_int_equal(len, 8 + header_len + sizeof params);
    assert_int_equal(bytes[8], '{');
    assert_int_equal(get_u32(bytes + 8 + header_len), 0xc0400000); // -3.0
}

static void a_file_cut_anywhere_or_made_longer_is_refused(void **state)
{
    uint8_t *longer = calloc(1, len + 1);
    float found[N_PARAMS];

    (void)state;
    assert_non_null(longer);
    memcpy(longer, bytes, len);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(safetensors_decode(bytes, cut, &model, found), CHOIR_ERR_FORMAT);
    assert_int_equal(safetensors_decode(longer, len + 1, &model, found), CHOIR_ERR_FORMAT);
    free(longer);
}

static void another_shape_or_a_value_that_is_not_finite_is_refused(void **state)
{
    struct model_spec other = model;
    float found[N_PARAMS] = {0};

    (void)state;
    other.n_inputs = 2;
    assert_int_equal(safetensors_decode(bytes, len, &other, found), CHOIR_ERR_FORMAT);
    other = model;
    other.layers[0].units = 1;
    other.n_inputs = 8; // 8 + 1 + 1 + 1: as many parameters
    assert_int_equal(safetensors_decode(bytes, len, &other, found), CHOIR_ERR_FORMAT);
    (void)put_u32(bytes + len - 4, 0x7fc00000);
    assert_int_equal(safetensors_decode(bytes, len, &model, found), CHOIR_ERR_FORMAT);
    assert_float_equal(found[0], 0.0F, 0.0F);
}

static void a_header_of_an_unlikely_length_is_refused(void **state)
{
    float found[N_PARAMS];

    (void)state;
    (void)put_u64(bytes, UINT64_MAX);
    assert_int_equal(safetensors_decode(bytes, len, &model, found), CHOIR_ERR_FORMAT);
    (void)put_u64(bytes, 0);
    assert_int_equal(safetensors_decode(bytes, len, &model, found), CHOIR_ERR_FORMAT);
}

static void too_many_or_equal_notes_are_refused(void **state)
{
    const struct safetensors_note twice[] = {{"a", "1"}, {"a", "2"}};
    uint8_t *made = NULL;
    size_t made_len;

    (void)state;
    assert_int_equal(safetensors_encode(&model, params, twice, 2, &made, &made_len),
                     CHOIR_ERR_FORMAT);
    assert_null(made);
}

// A reader of its own, written from the format's description in another language.
static void an_independent_reader_understands_the_file(void **state)
{
    char folder[] = "/tmp/choir-safetensors-XXXXXX", path[64];
    const char *script = getenv("CHOIR_READER"); // NOLINT(concurrency-mt-unsafe)
    char *arguments[4] = {NULL}, *environment[] = {NULL};
    int status = -1, folder_fd;
    pid_t child;

    (void)state;
    if (script == NULL || access("/usr/bin/python3", X_OK) != 0) {
        skip();
        return;
    }
    assert_non_null(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(safetensors_write(folder_fd, "model.safetensors", &model, params, notes, 2),
                     CHOIR_OK);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    arguments[0] = strdup("python3");
    arguments[1] = strdup(script);
    arguments[2] = strdup(path);
    assert_int_equal(posix_spawn(&child, "/usr/bin/python3", NULL, NULL, arguments, environment),
                     0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(unlink(path) + close(folder_fd) + rmdir(folder), 0);
    for (size_t i = 0; i < 3; i++)
        free(arguments[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, encode, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read_back),
        TEST(the_file_has_the_published_layout),
        TEST(a_file_cut_anywhere_or_made_longer_is_refused),
        TEST(another_shape_or_a_value_that_is_not_finite_is_refused),
        TEST(a_header_of_an_unlikely_length_is_refused),
        TEST(too_many_or_equal_notes_are_refused),
        TEST(an_independent_reader_understands_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
