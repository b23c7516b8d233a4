#include "round/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/round/graph_bounds.h"

// All statistics are of fixed seeds, so that a test passes always or never; the false-alarm rates
// are those that a fresh seed would have had.

static const uint8_t run[MESSAGE_RUN_BYTES] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

static struct site_set sites_to(uint32_t n)
{
    struct site_set set = {.n = n};

    for (uint32_t i = 0; i < n; i++)
        set.id[i] = i + 1;
    return set;
}

static struct graph_terms terms_of(uint32_t collusion)
{
    struct graph_terms terms = {.has_seed = true, .collusion = collusion};

    for (size_t i = 0; i < sizeof terms.seed; i++)
        terms.seed[i] = (uint8_t)i;
    return terms;
}

static struct graph make(uint32_t n, uint32_t collusion)
{
    const struct graph_terms terms = terms_of(collusion);
    const struct site_set v0 = sites_to(n);
    struct graph graph;

    assert_int_equal(graph_make(&terms, run, 3, &v0, &graph), CHOIR_OK);
    return graph;
}

static void small_rounds_and_many_colluders_get_the_complete_graph(void **state)
{
    struct graph graph = make(100, 2);

    (void)state;
    assert_true(graph_is_complete(&graph));
    assert_int_equal(graph_share_threshold(&graph, 67, 99), 67);
    assert_true(graph_edge(&graph, 1, 100));
    assert_false(graph_edge(&graph, 5, 5));
    graph = make(101, 20);
    assert_false(graph_is_complete(&graph));
    graph = make(101, 21);
    assert_true(graph_is_complete(&graph));
    graph = make(1000, 333);
    assert_true(graph_is_complete(&graph));
}

static void without_a_seed_three_hundred_sites_are_served_and_no_more(void **state)
{
    struct graph_terms terms = terms_of(5);
    struct site_set v0 = sites_to(GRAPH_UNSEEDED_MAX);
    struct graph graph;

    (void)state;
    terms.has_seed = false;
    assert_int_equal(graph_make(&terms, run, 3, &v0, &graph), CHOIR_OK);
    assert_true(graph_is_complete(&graph));
    v0 = sites_to(GRAPH_UNSEEDED_MAX + 1);
    assert_int_equal(graph_make(&terms, run, 3, &v0, &graph), CHOIR_ERR_REFUSED);
    v0.n = 0;
    assert_int_equal(graph_make(&terms, run, 3, &v0, &graph), CHOIR_ERR_REFUSED);
}

static size_t count_edges(const struct graph *graph)
{
    size_t n = 0;

    for (uint32_t i = 1; i <= graph->n; i++)
        for (uint32_t j = i + 1; j <= graph->n; j++)
            n += graph_edge(graph, i, j) ? 1 : 0;
    return n;
}

// Computed with Python's hashlib from the definition in the header.
static void edges_are_those_of_another_implementation(void **state)
{
    static const uint32_t of_1[] = {4, 5, 15, 16, 17, 20, 23, 25, 26, 27, 29, 32};
    const struct graph graph = make(200, 4);
    size_t at = 0;

    (void)state;
    assert_int_equal(graph.degree, 72);
    assert_int_equal(graph.limit, UINT64_C(0x5c9f8480a4a9cf1d));
    assert_int_equal(count_edges(&graph), 7242);
    for (uint32_t j = 2; j <= 32; j++) {
        assert_int_equal(graph_edge(&graph, 1, j), at < 12 && of_1[at] == j);
        at += at < 12 && of_1[at] == j ? 1 : 0;
    }
}

static void an_edge_has_two_ends(void **state)
{
    const struct graph graph = make(300, 15);

    (void)state;
    for (uint32_t i = 1; i <= 300; i++)
        for (uint32_t j = 1; j <= 300; j++)
            assert_int_equal(graph_edge(&graph, i, j), graph_edge(&graph, j, i));
    assert_false(graph_edge(&graph, 9, 9));
}

// Degrees are binomial: their sum, twice the edges, within 5.3 standard deviations (false alarm
// 1.2e-7); the sum of their squared deviations, nearly chi-square with n degrees of freedom,
// within 5.3 too; no site beyond 6.5 (n times 8e-11 = 8e-8).
static void degrees_are_binomial(void **state)
{
    const struct graph graph = make(1000, 100);
    const struct site_set all = sites_to(1000);
    const double n = 1000, p = graph.degree / (n - 1), variance = (n - 1) * p * (1 - p);
    double squares = 0, sum = 0;

    (void)state;
    for (uint32_t i = 1; i <= 1000; i++) {
        double off = (double)graph_degree(&graph, i, &all) - graph.degree;

        assert_true(fabs(off) < 6.5 * sqrt(variance));
        sum += off;
        squares += off * off / variance;
    }
    assert_true(fabs(sum / 2) < 5.3 * sqrt(n * variance / 2));
    assert_true(fabs(squares - n) < 5.3 * sqrt(2 * n));
}

// A random graph of this degree falls apart with a probability below n (1 - p)^(n - 1) < 1e-40.
static void the_graph_is_connected(void **state)
{
    const struct graph graph = make(500, 10);
    uint32_t queue[500] = {1};
    bool seen[501] = {[1] = true};
    size_t n = 1;

    (void)state;
    for (size_t at = 0; at < n; at++)
        for (uint32_t j = 1; j <= 500; j++)
            if (!seen[j] && graph_edge(&graph, queue[at], j)) {
                seen[j] = true;
                queue[n++] = j;
            }
    assert_int_equal(n, 500);
}

static size_t count_common(const struct graph *one, const struct graph *other, uint32_t n)
{
    size_t common = 0;

    for (uint32_t i = 1; i <= n; i++)
        for (uint32_t j = i + 1; j <= n; j++)
            common += graph_edge(one, i, j) && graph_edge(other, i, j) ? 1 : 0;
    return common;
}

// Two independent graphs share a pair with probability p^2; 5.3 standard deviations (1.2e-7 each).
static void assert_unrelated(const struct graph *one, const struct graph *other, uint32_t n)
{
    const double pairs = n * (n - 1.0) / 2, both = pow((double)one->degree / (one->n - 1), 2);

    assert_true(fabs((double)count_common(one, other, n) - pairs * both) <
                5.3 * sqrt(pairs * both * (1 - both)));
}

static void another_round_run_seed_or_list_of_sites_is_another_graph(void **state)
{
    static const uint8_t other_run[MESSAGE_RUN_BYTES] = {8};
    const struct graph graph = make(300, 15);
    struct graph_terms terms = terms_of(15);
    struct site_set v0 = sites_to(300);
    struct graph other;

    (void)state;
    assert_int_equal(graph_make(&terms, run, 4, &v0, &other), CHOIR_OK);
    assert_unrelated(&graph, &other, 300);
    assert_int_equal(graph_make(&terms, other_run, 3, &v0, &other), CHOIR_OK);
    assert_unrelated(&graph, &other, 300);
    v0.id[299] = 301; // the others find themselves in a graph drawn afresh
    assert_int_equal(graph_make(&terms, run, 3, &v0, &other), CHOIR_OK);
    assert_unrelated(&graph, &other, 299);
    v0.id[299] = 300;
    terms.seed[31] ^= 1;
    assert_int_equal(graph_make(&terms, run, 3, &v0, &other), CHOIR_OK);
    assert_unrelated(&graph, &other, 300);
}

static void the_threshold_is_a_part_of_the_neighbours_and_the_site_itself(void **state)
{
    const struct graph graph = make(300, 30); // 0.65

    (void)state;
    assert_int_equal(graph.tau_milli, 650);
    assert_int_equal(graph_share_threshold(&graph, 200, 100), 66);
    assert_int_equal(graph_share_threshold(&graph, 200, 101), 67);
    assert_int_equal(graph_share_threshold(&graph, 200, 0), 1);
}

// What the table promises, for what a round gets: a server may try 2^40 graphs.
static void check_promises(uint32_t n, uint32_t collusion)
{
    const struct graph graph = make(n, collusion);
    const struct graph_case one = {n, collusion, graph.degree, graph.tau_milli};

    assert_false(graph_is_complete(&graph));
    assert_true(graph_privacy_log2(&one) <= -80);
    assert_true(graph_loss_log2(&one, 0.10) <= -20);
}

static void every_row_keeps_a_cluster_from_being_cut_off_and_shares_at_hand(void **state)
{
    static const uint32_t sizes[] = {101, 120, 140, 149, 150, 151, 199, 200,
                                     201, 294, 300, 301, 499, 500, 501, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint32_t n = sizes[i];

        check_promises(n, 0);
        check_promises(n, n * 2 / 100);
        check_promises(n, n * 5 / 100);
        check_promises(n, n * 10 / 100);
        check_promises(n, n * 15 / 100);
        check_promises(n, n * 20 / 100);
    }
}

static void a_lower_threshold_or_degree_would_break_the_promise(void **state)
{
    const struct graph_case low_threshold = {1000, 100, 98, 620};
    const struct graph_case low_degree = {1000, 100, 84, 650};

    (void)state;
    assert_true(graph_privacy_log2(&low_threshold) > -80);
    assert_true(graph_loss_log2(&low_degree, 0.10) > -20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_rounds_and_many_colluders_get_the_complete_graph),
        cmocka_unit_test(without_a_seed_three_hundred_sites_are_served_and_no_more),
        cmocka_unit_test(edges_are_those_of_another_implementation),
        cmocka_unit_test(an_edge_has_two_ends),
        cmocka_unit_test(degrees_are_binomial),
        cmocka_unit_test(the_graph_is_connected),
        cmocka_unit_test(another_round_run_seed_or_list_of_sites_is_another_graph),
        cmocka_unit_test(the_threshold_is_a_part_of_the_neighbours_and_the_site_itself),
        cmocka_unit_test(every_row_keeps_a_cluster_from_being_cut_off_and_shares_at_hand),
        cmocka_unit_test(a_lower_threshold_or_degree_would_break_the_promise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
