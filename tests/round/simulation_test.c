/* The two state machines against each other, over a network with faults.
 *
 * CHOIR_SIMULATION=long runs 50 times as many seeds; CHOIR_SEED=n runs that seed alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum { SEEDS = 2000, LONG_FACTOR = 50 };

static uint64_t n_seeds(void)
{
    const char *form = getenv("CHOIR_SIMULATION"); // NOLINT(concurrency-mt-unsafe): one thread

    return form != NULL && strcmp(form, "long") == 0 ? (uint64_t)SEEDS * LONG_FACTOR : SEEDS;
}

// Different worlds for different seeds: sizes, quorums, and how bad the weather is.
static struct world_settings weather(uint64_t seed)
{
    struct world_settings settings = {.seed = seed,
                                      .n_sites = 3 + (uint32_t)(seed % 4),
                                      .min_sites = 2 + (uint32_t)(seed / 4 % 2),
                                      .rounds = 3,
                                      .drop = 0.02 * (double)(seed % 7),
                                      .repeat = 0.05 * (double)(seed % 3),
                                      .slow = 0.03 * (double)(seed % 5),
                                      .crash = seed % 2 == 0 ? 0.01 : 0.001,
                                      .cut = 0.02 * (double)(seed % 3),
                                      .restore = true};

    settings.collusion = settings.n_sites > 4 ? (settings.n_sites - 1) / 3 : 0;
    return settings;
}

static void run_seeds(struct world_result *sum, uint64_t faults_ms, uint64_t end_ms,
                      int progress_required)
{
    const char *only = getenv("CHOIR_SEED"); // NOLINT(concurrency-mt-unsafe): one thread
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only != NULL ? first : n_seeds();

    memset(sum, 0, sizeof *sum);
    for (uint64_t seed = first; seed <= last; seed++) {
        struct world_settings settings = weather(seed);
        struct world_result result;

        settings.faults_ms = faults_ms;
        settings.end_ms = end_ms;
        world_run(&settings, &result);
        if (result.broken || (progress_required && !result.ended))
            fail_msg("CHOIR_SEED=%llu: %s", (unsigned long long)seed,
                     result.broken ? result.what : "the run did not end after everything healed");
        sum->closed += result.closed;
        sum->lost += result.lost;
        sum->attempts += result.attempts;
        sum->crashes += result.crashes;
        sum->resumed += result.resumed;
    }
    print_message("# closed %llu, lost %llu, attempts %llu, crashes %llu, resumed %llu\n",
                  (unsigned long long)sum->closed, (unsigned long long)sum->lost,
                  (unsigned long long)sum->attempts, (unsigned long long)sum->crashes,
                  (unsigned long long)sum->resumed);
}

static void without_faults_every_round_closes_with_every_site(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world_settings settings = weather(seed);
        struct world_result result;

        settings.faults_ms = 0;
        settings.end_ms = 60000;
        world_run(&settings, &result);
        assert_false(result.broken);
        assert_true(result.ended);
        assert_int_equal(result.closed, 3);
        assert_int_equal(result.lost, 0);
        assert_int_equal(result.attempts, 3);
        assert_in_range(result.ended_ms, 0, 6000);
    }
}

static void nothing_is_summed_twice_whatever_fails(void **state)
{
    struct world_result sum;

    (void)state;
    run_seeds(&sum, 60000, 60000, 0);
    assert_in_range(sum.crashes, 1, UINT64_MAX);
}

static void once_everything_heals_the_run_ends(void **state)
{
    struct world_result sum;

    (void)state;
    run_seeds(&sum, 15000, 600000, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_faults_every_round_closes_with_every_site),
        cmocka_unit_test(nothing_is_summed_twice_whatever_fails),
        cmocka_unit_test(once_everything_heals_the_run_ends),
    };

    return cmocka_run_group_tests_name("simulation", tests, NULL, NULL);
}
