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
                                .sums = {.suite = 1,
                                         .collusion = 0,
                                         .n = 10,
                                         .least = 2,
                                         .most = 3,
                                         .may_lose = 1,
                                         .n_closed = 1,
                                         .closed = {{10, 2, 3, 2, 2, 2}}},
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

static void closed_rounds_are_counted_once_and_the_newest_are_kept(void **state)
{
    struct progress_sums sums = {.suite = 1};
    struct progress_round round = {.attempt = 1, .invited = 5, .in_sum = 4, .minimum = 3};

    (void)state;
    for (round.round_no = 1; round.round_no <= PROGRESS_ROUNDS_MAX + 3; round.round_no++) {
        progress_sums_add(&sums, &round);
        progress_sums_add(&sums, &round);
    }
    assert_int_equal(sums.n, PROGRESS_ROUNDS_MAX + 3);
    assert_int_equal(sums.n_closed, PROGRESS_ROUNDS_MAX);
    assert_int_equal(sums.closed[0].round_no, 4);
    assert_int_equal(sums.closed[PROGRESS_ROUNDS_MAX - 1].round_no, PROGRESS_ROUNDS_MAX + 3);
    round.in_sum = 5;
    round.invited = 5;
    round.minimum = 4;
    progress_sums_add(&sums, &round);
    assert_int_equal(sums.least, 4);
    assert_int_equal(sums.most, 5);
    assert_int_equal(sums.may_lose, 1);
}

static void a_person_reads_what_the_aggregator_may_see(void **state)
{
    struct progress_sums sums = {0};
    char text[256];

    (void)state;
    progress_sums_text(&sums, "off", 4, text, sizeof text);
    assert_string_equal(text, "secure aggregation off: the aggregator sees each site's update");
    sums.suite = 1;
    progress_sums_text(&sums, "aes-256-ctr", 4, text, sizeof text);
    assert_string_equal(text, "secure aggregation on (aes-256-ctr): no sum opened yet; 0 may "
                              "collude with the aggregator");
    progress_sums_add(
        &sums, &(struct progress_round){.round_no = 1, .invited = 4, .in_sum = 4, .minimum = 3});
    progress_sums_text(&sums, "aes-256-ctr", 4, text, sizeof text);
    assert_string_equal(text,
                        "secure aggregation on (aes-256-ctr): 1 sum over 4 of 4 sites; a round "
                        "could lose 1 site, and 0 may collude with the aggregator");
    progress_sums_add(
        &sums, &(struct progress_round){.round_no = 2, .invited = 4, .in_sum = 3, .minimum = 3});
    progress_sums_text(&sums, "aes-256-ctr", 4, text, sizeof text);
    assert_string_equal(text,
                        "secure aggregation on (aes-256-ctr): 2 sums, each over 3 to 4 of 4 "
                        "sites; a round could lose 1 site, and 0 may collude with the aggregator");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_round_names_who_is_late_and_the_time_left),
        cmocka_unit_test(a_line_is_never_wider_than_the_terminal),
        cmocka_unit_test(progress_survives_the_socket),
        cmocka_unit_test(progress_cut_at_any_byte_is_refused),
        cmocka_unit_test(closed_rounds_are_counted_once_and_the_newest_are_kept),
        cmocka_unit_test(a_person_reads_what_the_aggregator_may_see),
        cmocka_unit_test(a_text_of_a_peer_cannot_steer_the_terminal),
    };

    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
