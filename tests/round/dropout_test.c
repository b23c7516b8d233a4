/* Rounds with masks on, masks and all: who drops out, at which step, and what is in the sum then.
 *
 * CHOIR_SIMULATION=long runs 20 times as many random worlds; CHOIR_SEED=n runs that seed alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "round/quorum.h"
#include "world.h"

enum { LONG_FACTOR = 20, WEATHER_SEEDS = 200, RANDOM_SEEDS = 3 };

static uint64_t factor(void)
{
    const char *form = getenv("CHOIR_SIMULATION"); // NOLINT(concurrency-mt-unsafe): one thread

    return form != NULL && strcmp(form, "long") == 0 ? LONG_FACTOR : 1;
}

static uint32_t collusion_of(uint32_t n)
{
    return n > 4 ? (n - 1) / 3 : 0;
}

static uint32_t may_drop(const struct world_settings *settings)
{
    return settings->n_sites - quorum_minimum(settings->n_sites, settings->collusion, 1, true);
}

static struct world_settings calm(uint32_t n)
{
    return (struct world_settings){.n_sites = n,
                                   .collusion = collusion_of(n),
                                   .min_sites = 2,
                                   .rounds = 1,
                                   .end_ms = 60000,
                                   .suite = (uint16_t)(1 + n % 3),
                                   .lane_bits = n % 2 == 0 ? 32 : 16};
}

// Whether the site is in the sum: its header and its vector are out.
static bool in_sum(const struct world_settings *settings, uint32_t id)
{
    return settings->dies[id] == WORLD_LIVES || settings->dies[id] > WORLD_UPLOAD;
}

static const char *describe(const struct world_settings *settings)
{
    static char text[160];
    size_t len =
        (size_t)snprintf(text, sizeof text, "n = %u, seed %llu:", (unsigned)settings->n_sites,
                         (unsigned long long)settings->seed);

    for (uint32_t id = 1; id <= settings->n_sites && len < sizeof text - 16; id++)
        if (settings->dies[id] != WORLD_LIVES)
            len += (size_t)snprintf(text + len, sizeof text - len, " %u at %u", (unsigned)id,
                                    (unsigned)settings->dies[id]);
    return text;
}

static void expect_sum(const struct world_settings *settings)
{
    struct world_result result;
    size_t n = 0;

    world_run(settings, &result);
    if (result.broken || !result.ended || result.closed != 1 || result.sums != 1 ||
        result.proofs != 1 || result.attempts != 1)
        fail_msg("%s: %s; closed %llu, sums %llu, attempts %llu", describe(settings), result.what,
                 (unsigned long long)result.closed, (unsigned long long)result.sums,
                 (unsigned long long)result.attempts);
    for (uint32_t id = 1; id <= settings->n_sites; id++)
        if (in_sum(settings, id) && (n == result.n_last || result.last[n++] != id))
            fail_msg("%s: site %u is not in the sum", describe(settings), (unsigned)id);
    if (n != result.n_last)
        fail_msg("%s: %zu sites are in the sum", describe(settings), result.n_last);
}

static void expect_abort(const struct world_settings *settings)
{
    struct world_result result;
    uint32_t n_alive = 0; // when consents are there

    for (uint32_t id = 1; id <= settings->n_sites; id++)
        if (settings->dies[id] == WORLD_LIVES || settings->dies[id] > WORLD_CONSENT)
            n_alive++;
    world_run(settings, &result);
    if (result.reveals > 0 && n_alive < quorum_threshold(settings->n_sites, settings->collusion))
        fail_msg("%s: sites revealed shares without T consents", describe(settings));
    if (result.broken || result.closed != 0 || result.sums != 0 || result.proofs != 0)
        fail_msg("%s: %s; a round too few sites were left for was closed", describe(settings),
                 result.what);
}

// Each site of `which` (bits) dies at the step that its digit of `way` says.
static uint32_t die_that_way(struct world_settings *settings, uint32_t which, uint32_t way)
{
    for (uint32_t id = 1; id <= settings->n_sites; id++) {
        settings->dies[id] = WORLD_LIVES;
        if ((which >> id & 1) == 0)
            continue;
        settings->dies[id] = (uint8_t)(WORLD_ADVERTISE + way % (WORLD_STEPS - 1));
        way /= WORLD_STEPS - 1;
    }
    return way; // not 0: there are fewer ways than that
}

// Every choice of so many sites, and every step for each.
static size_t every_way(struct world_settings *settings, uint32_t n_drops,
                        void (*expect)(const struct world_settings *))
{
    size_t n = 0;

    for (uint32_t which = 0; which < 2U << settings->n_sites; which += 2) {
        if ((uint32_t)__builtin_popcount(which) != n_drops)
            continue;
        for (uint32_t way = 0; die_that_way(settings, which, way) == 0; way++) {
            settings->seed++;
            expect(settings);
            n++;
        }
    }
    return n;
}

static void sums_are_exact_whoever_drops_out_at_whatever_step(void **state)
{
    (void)state;
    for (uint32_t n = 4; n <= 7; n++) {
        struct world_settings settings = calm(n);
        size_t ways = 0;

        for (uint32_t drops = 0; drops <= may_drop(&settings); drops++)
            ways += every_way(&settings, drops, expect_sum);
        print_message("# n = %u: %zu ways of up to %u dropouts\n", (unsigned)n, ways,
                      (unsigned)may_drop(&settings));
    }
}

static void one_dropout_too_many_gives_no_sum(void **state)
{
    (void)state;
    for (uint32_t n = 4; n <= 5; n++) {
        struct world_settings settings = calm(n);

        settings.end_ms = 25000;
        every_way(&settings, may_drop(&settings) + 1, expect_abort);
    }
}

static uint64_t draw(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void drop_at_random(struct world_settings *settings, uint32_t n_drops)
{
    uint64_t random = settings->seed;

    while (n_drops > 0) {
        uint32_t id = 1 + (uint32_t)(draw(&random) % settings->n_sites);

        if (settings->dies[id] != WORLD_LIVES)
            continue;
        settings->dies[id] = (uint8_t)(1 + draw(&random) % (WORLD_STEPS - 1));
        n_drops--;
    }
}

static void many_sites(uint32_t n, uint64_t seed)
{
    struct world_settings settings = calm(n);

    settings.seed = seed;
    settings.suite = (uint16_t)(1 + seed % 3);
    settings.lane_bits = seed % 2 == 0 ? 16 : 32;
    drop_at_random(&settings, may_drop(&settings));
    expect_sum(&settings);
    memset(settings.dies, 0, sizeof settings.dies);
    drop_at_random(&settings, may_drop(&settings) + 1);
    settings.end_ms = 25000;
    expect_abort(&settings);
}

static void sums_of_ten_to_a_hundred_sites_are_exact_under_random_dropouts(void **state)
{
    static const uint32_t sizes[] = {10, 13, 20, 34};
    const char *only = getenv("CHOIR_SEED"); // NOLINT(concurrency-mt-unsafe): one thread
    uint64_t seeds = RANDOM_SEEDS * factor();

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (uint64_t seed = 1; seed <= seeds; seed++)
            many_sites(sizes[i], only != NULL ? strtoull(only, NULL, 10) : 100 * i + seed);
    for (uint64_t seed = 1; seed <= factor(); seed++) {
        many_sites(61, seed);
        many_sites(100, seed);
    }
}

static void sums_over_a_sparse_graph_are_exact_under_random_dropouts(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= factor(); seed++) {
        struct world_settings settings = calm(110);

        settings.collusion = 2;
        settings.sparse = true;
        settings.seed = seed;
        settings.lane_bits = 16;
        drop_at_random(&settings, 6);
        expect_sum(&settings);
    }
}

// Different worlds for different seeds: sizes, masks, and how bad the weather is.
static struct world_settings weather(uint64_t seed)
{
    struct world_settings settings = calm(4 + (uint32_t)(seed % 4));

    settings.seed = seed;
    settings.rounds = 2;
    settings.drop = 0.02 * (double)(seed % 4);
    settings.repeat = 0.05 * (double)(seed % 3);
    settings.slow = 0.03 * (double)(seed % 3);
    settings.crash = seed % 2 == 0 ? 0.006 : 0.001;
    settings.cut = 0.02 * (double)(seed % 3);
    settings.restore = true;
    settings.suite = (uint16_t)(1 + seed % 3);
    settings.lane_bits = seed / 3 % 2 == 0 ? 16 : 32;
    return settings;
}

static void sums_are_exact_whatever_fails_and_the_run_ends(void **state)
{
    const char *only = getenv("CHOIR_SEED"); // NOLINT(concurrency-mt-unsafe): one thread
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only != NULL ? first : WEATHER_SEEDS * factor();
    uint64_t closed = 0, lost = 0, attempts = 0, crashes = 0, resumed = 0;

    (void)state;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct world_settings settings = weather(seed);
        struct world_result result;

        settings.faults_ms = 15000;
        settings.end_ms = 600000;
        world_run(&settings, &result);
        if (result.broken || !result.ended)
            fail_msg("CHOIR_SEED=%llu: %s", (unsigned long long)seed,
                     result.broken ? result.what : "the run did not end after everything healed");
        closed += result.closed;
        lost += result.lost;
        attempts += result.attempts;
        crashes += result.crashes;
        resumed += result.resumed;
    }
    print_message("# closed %llu, lost %llu, attempts %llu, crashes %llu, resumed %llu\n",
                  (unsigned long long)closed, (unsigned long long)lost,
                  (unsigned long long)attempts, (unsigned long long)crashes,
                  (unsigned long long)resumed);
    assert_in_range(closed, 1, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_exact_whoever_drops_out_at_whatever_step),
        cmocka_unit_test(one_dropout_too_many_gives_no_sum),
        cmocka_unit_test(sums_of_ten_to_a_hundred_sites_are_exact_under_random_dropouts),
        cmocka_unit_test(sums_over_a_sparse_graph_are_exact_under_random_dropouts),
        cmocka_unit_test(sums_are_exact_whatever_fails_and_the_run_ends),
    };

    return cmocka_run_group_tests_name("dropout", tests, NULL, NULL);
}
