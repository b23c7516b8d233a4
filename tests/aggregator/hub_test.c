#include "aggregator/hub.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/hex.h"
#include "crypto/keyfile.h"
#include "ops/control.h"
#include "ops/progress.h"
#include "tests/aggregator/sample.h"

/* An aggregator without sites, run by a thread, and its operator. */
struct house {
    struct sample *sample;
    struct aggregator_config config;
    char state[128], roster[128], keys[128], passphrase[128], socket[128];
    char control[32], bulk[32];
    struct hub *hub;
    pthread_t thread;
    volatile sig_atomic_t stop;
    enum choir_err left; // how hub_run() ended
    struct progress progress;
};

static void write_file(const char *path, unsigned mode, const void *bytes, size_t len)
{
    assert_int_equal(file_replace(AT_FDCWD, path, mode, bytes, len), CHOIR_OK);
}

static int open_house(void **state)
{
    static struct house only;
    struct house *house = &only;
    struct sample *sample;
    void *made = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;

    memset(house, 0, sizeof *house);
    if (sample_setup(&made) != 0)
        return -1;
    house->sample = sample = made;
    sample_path(sample, "state", house->state);
    sample_path(sample, "roster.bin", house->roster);
    sample_path(sample, "aggregator.key", house->keys);
    sample_path(sample, "passphrase", house->passphrase);
    sample_path(sample, "state/control.sock", house->socket);
    snprintf(house->control, sizeof house->control, "tcp://127.0.0.1:*");
    snprintf(house->bulk, sizeof house->bulk, "tcp://127.0.0.1:*");
    house->config = (struct aggregator_config){.state_dir = house->state,
                                               .roster = house->roster,
                                               .keys = house->keys,
                                               .passphrase_file = house->passphrase,
                                               .control = house->control,
                                               .bulk = house->bulk};
    hash_bytes(house->config.root, sample->roster.root_key, SIGN_PUBLIC_BYTES);
    if (roster_sign(&sample->roster, sample->root_secret, &bytes, &len) != CHOIR_OK ||
        folder_make(house->state) != CHOIR_OK ||
        keyfile_seal(house->keys, SECRETS_AGGREGATOR, KEYFILE_COST_MIN, "open sesame",
                     sample->aggregator_secret, SECRETS_PEER_BYTES) != CHOIR_OK)
        return -1;
    write_file(house->roster, 0644, bytes, len);
    write_file(house->passphrase, 0600, "open sesame\n", 12);
    free(bytes);
    *state = house;
    return 0;
}

static int close_house(void **state)
{
    struct house *house = *state;
    void *sample = house->sample;

    return sample_teardown(&sample);
}

static void *serve(void *argument)
{
    struct house *house = argument;

    house->left = hub_run(house->hub, &house->stop);
    return NULL;
}

static void start(struct house *house)
{
    struct choir_diag diag = {0};

    house->stop = 0;
    if (hub_open(&house->config, &house->hub, &diag) != CHOIR_OK)
        fail_msg("%s: %s", diag.place, diag.message);
    assert_int_equal(pthread_create(&house->thread, NULL, serve, house), 0);
}

static void halt(struct house *house)
{
    house->stop = 1;
    assert_int_equal(pthread_join(house->thread, NULL), 0);
    assert_int_equal(house->left, CHOIR_OK);
    hub_close(house->hub);
    house->hub = NULL;
}

// Asks as `choir` does; the answer's text is kept in `text`, or progress in house->progress.
static enum control_kind ask(struct house *house, enum control_kind request, const void *bytes,
                             size_t len, char text[static 1024])
{
    enum control_kind kind = CONTROL_FAILED;
    uint8_t *payload = NULL;
    size_t answer_len = 0;
    int fd = -1;

    assert_int_equal(control_connect(house->socket, &fd), CHOIR_OK);
    assert_int_equal(control_send(fd, request, bytes, len), CHOIR_OK);
    assert_int_equal(control_receive(fd, &kind, &payload, &answer_len), CHOIR_OK);
    if (kind == CONTROL_PROGRESS)
        assert_int_equal(progress_decode(payload, answer_len, &house->progress), CHOIR_OK);
    else
        snprintf(text, 1024, "%s", (const char *)payload);
    free(payload);
    close(fd);
    return kind;
}

static enum progress_state status(struct house *house)
{
    char text[1024];

    assert_int_equal(ask(house, CONTROL_STATUS, NULL, 0, text), CONTROL_PROGRESS);
    return house->progress.state;
}

static enum control_kind stop_run(struct house *house, char text[static 1024])
{
    return ask(house, CONTROL_STOP, NULL, 0, text);
}

// The plan with `from` changed into `to`, signed before the change if `forge`.
static enum control_kind launch(struct house *house, bool forge, char text[static 1024])
{
    char *plan = sample_plan_text(NULL, NULL), *sent = plan;
    size_t len = strlen(plan);
    uint8_t *frame = malloc(SIGN_BYTES + len);
    enum control_kind kind;

    assert_non_null(frame);
    sample_sign(house->sample, plan, frame);
    if (forge)
        sent = sample_plan_text("\"rounds\": 3", "\"rounds\": 4");
    memcpy(frame + SIGN_BYTES, sent, len);
    kind = ask(house, CONTROL_LAUNCH, frame, SIGN_BYTES + len, text);
    free(frame);
    if (forge)
        free(sent);
    free(plan);
    return kind;
}

static void run_file(const struct house *house, const char *name, char path[static 512])
{
    char run[2 * PROGRESS_RUN_BYTES + 1];

    hex_put(run, house->progress.run, PROGRESS_RUN_BYTES);
    snprintf(path, 512, "%s/runs/%s/%s", house->state, run, name);
}

static void a_launched_run_waits_for_sites_and_ends_when_stopped(void **state)
{
    struct house *house = *state;
    char text[1024] = "", path[512];

    start(house);
    assert_int_equal(status(house), PROGRESS_IDLE);
    assert_int_equal(stop_run(house, text), CONTROL_FAILED);
    assert_string_equal(text, "no run is going on");
    assert_int_equal(launch(house, false, text), CONTROL_OK);
    assert_int_equal(status(house), PROGRESS_WAITING);
    assert_int_equal(house->progress.n_sites, SAMPLE_SITES);
    assert_int_equal(launch(house, false, text), CONTROL_FAILED);
    assert_non_null(strstr(text, "is going on"));
    assert_int_equal(stop_run(house, text), CONTROL_OK);
    assert_int_equal(status(house), PROGRESS_ENDED);
    assert_false(house->progress.complete);
    run_file(house, "run.json", path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(launch(house, false, text), CONTROL_OK); // and the next one
    halt(house);
}

static void a_plan_that_was_changed_after_signing_is_refused(void **state)
{
    struct house *house = *state;
    char text[1024] = "";

    start(house);
    assert_int_equal(launch(house, true, text), CONTROL_FAILED);
    assert_non_null(strstr(text, "not signed by the operator"));
    assert_int_equal(status(house), PROGRESS_IDLE);
    halt(house);
}

static void a_restarted_aggregator_goes_on_with_the_run(void **state)
{
    struct house *house = *state;
    uint8_t run[PROGRESS_RUN_BYTES];
    char text[1024] = "";

    start(house);
    assert_int_equal(launch(house, false, text), CONTROL_OK);
    assert_int_equal(status(house), PROGRESS_WAITING);
    memcpy(run, house->progress.run, sizeof run);
    halt(house);
    start(house);
    assert_int_equal(status(house), PROGRESS_WAITING);
    assert_memory_equal(house->progress.run, run, sizeof run);
    halt(house);
}

static void papers_lost_in_a_crash_are_written_at_the_next_start(void **state)
{
    struct house *house = *state;
    char text[1024] = "", path[512];

    start(house);
    assert_int_equal(launch(house, false, text), CONTROL_OK);
    assert_int_equal(stop_run(house, text), CONTROL_OK);
    assert_int_equal(status(house), PROGRESS_ENDED);
    halt(house);
    run_file(house, "run.json", path);
    assert_int_equal(unlink(path), 0);
    start(house);
    assert_int_equal(status(house), PROGRESS_ENDED);
    assert_int_equal(access(path, F_OK), 0);
    halt(house);
}

static void two_aggregators_do_not_share_a_state_folder(void **state)
{
    struct house *house = *state;
    struct choir_diag diag = {0};
    struct hub *other = NULL;

    start(house);
    assert_int_equal(hub_open(&house->config, &other, &diag), CHOIR_ERR_AGAIN);
    assert_non_null(strstr(diag.message, "another aggregator"));
    assert_int_equal(status(house), PROGRESS_IDLE); // the first one still answers
    halt(house);
}

static void keys_and_roster_must_be_the_federations_own(void **state)
{
    struct house *house = *state;
    struct choir_diag diag = {0};
    struct hub *hub = NULL;

    house->config.root[0] ^= 1;
    assert_int_equal(hub_open(&house->config, &hub, &diag), CHOIR_ERR_FORGED);
    house->config.root[0] ^= 1;
    write_file(house->passphrase, 0600, "open barley\n", 12);
    assert_int_equal(hub_open(&house->config, &hub, &diag), CHOIR_ERR_FORGED);
    assert_string_equal(diag.place, house->keys);
    write_file(house->passphrase, 0640, "open sesame\n", 12);
    assert_int_equal(hub_open(&house->config, &hub, &diag), CHOIR_ERR_REFUSED);
    house->config.passphrase_file = NULL;
    assert_int_equal(hub_open(&house->config, &hub, &diag), CHOIR_ERR_MISSING);
    assert_non_null(strstr(diag.message, "passphrase_file"));
    assert_null(hub);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_launched_run_waits_for_sites_and_ends_when_stopped),
        TEST(a_plan_that_was_changed_after_signing_is_refused),
        TEST(a_restarted_aggregator_goes_on_with_the_run),
        TEST(papers_lost_in_a_crash_are_written_at_the_next_start),
        TEST(two_aggregators_do_not_share_a_state_folder),
        TEST(keys_and_roster_must_be_the_federations_own),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
