#include "ops/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct progress running(void)
{
    struct progress progress = {.state = PROGRESS_RUNNING,
                                .plan = "lenders",
                                .phase = "masked",
                                .round_no = 11,
                                .rounds = 30,
                                .attempt = 1,
                                .elapsed_ms = 10000,
                                .n_sites = 3,
                                .sites = {{"north", PROGRESS_SITE_IN},
                                          {"south", PROGRESS_SITE_LATE},
                                          {"west", PROGRESS_SITE_MISSING}}};

    return progress;
}

static void a_running_round_names_who_is_late_and_the_time_left(void **state)
{
    static struct progress progress;
    char line[256];

    (void)state;
    progress = running();
    progress_line(&progress, line, sizeof line, 120);
    assert_string_equal(line, "round 11/30 [######..............] masked    in 1 of 3  late 1 "
                              "(south)  missing 1 (west)  0:20 left");
}

static void a_line_is_never_wider_than_the_terminal(void **state)
{
    static struct progress progress;
    char line[256];

    (void)state;
    progress = running();
    for (size_t width = 0; width < 120; width++) {
        progress_line(&progress, line, sizeof line, width);
        assert_true(strlen(line) <= width);
    }
}

static void progress_survives_the_socket(void **state)
{
    static struct progress progress, again;
    static uint8_t bytes[PROGRESS_BYTES_MAX];
    size_t len = 0;

    (void)state;
    progress = running();
    assert_int_equal(progress_encode(&progress, bytes, sizeof bytes, &len), CHOIR_OK);
    assert_int_equal(progress_decode(bytes, len, &again), CHOIR_OK);
    assert_memory_equal(&progress, &again, sizeof progress);
}

static void progress_cut_at_any_byte_is_refused(void **state)
{
    static struct progress progress, again;
    static uint8_t bytes[PROGRESS_BYTES_MAX];
    size_t len = 0;

    (void)state;
    progress = running();
    assert_int_equal(progress_encode(&progress, bytes, sizeof bytes, &len), CHOIR_OK);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(progress_decode(bytes, cut, &again), CHOIR_ERR_FORMAT);
}

static void a_text_of_a_peer_cannot_steer_the_terminal(void **state)
{
    static struct progress progress, again;
    static uint8_t bytes[PROGRESS_BYTES_MAX];
    size_t len = 0;

    (void)state;
    progress = running();
    snprintf(progress.reason, sizeof progress.reason, "%s", "south: \033[2J\tno\x9b");
    assert_int_equal(progress_encode(&progress, bytes, sizeof bytes, &len), CHOIR_OK);
    assert_int_equal(progress_decode(bytes, len, &again), CHOIR_OK);
    assert_string_equal(again.reason, "south: ?[2J?no?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_round_names_who_is_late_and_the_time_left),
        cmocka_unit_test(a_line_is_never_wider_than_the_terminal),
        cmocka_unit_test(progress_survives_the_socket),
        cmocka_unit_test(progress_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_text_of_a_peer_cannot_steer_the_terminal),
    };

    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
