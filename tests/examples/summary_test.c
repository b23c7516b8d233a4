#include "examples/summary.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"

static char plan_name[] = "study";
static struct plan plan = {.name = plan_name, .n_sites = 2};

static struct summary two_sites(struct summary_site sites[static 2])
{
    sites[0] = (struct summary_site){.name = "north", .auc_local = 0.6, .auc_federated = 0.75};
    sites[1] = (struct summary_site){
        .name = "south", .auc_local = (double)NAN, .auc_federated = (double)NAN};
    return (struct summary){.plan = &plan, .sites = sites, .auc_federated = 0.7, .rounds = 3};
}

static enum choir_err read_run(struct summary *summary, const char *text, struct choir_diag *diag)
{
    char path[] = "/tmp/choir-summary-XXXXXX";
    const int fd = mkstemp(path);
    enum choir_err err = CHOIR_OK;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    err = summary_read_run(summary, path, diag);
    (void)unlink(path);
    return err;
}

static void a_run_is_read_with_bounded_and_unbounded_epsilons(void **state)
{
    struct summary_site sites[2];
    struct summary summary = two_sites(sites);

    (void)state;
    assert_int_equal(
        read_run(&summary,
                 "{\"run_seconds\": 2.5, \"bytes_up\": 10, \"bytes_down\": 20, \"rounds\": 4,"
                 " \"secure_aggregation\": false, \"sites\": ["
                 "{\"name\": \"south\", \"epsilon\": \"inf\", \"epsilon_reserved\": null,"
                 " \"epsilon_budget\": 3, \"delta\": 1e-5},"
                 "{\"name\": \"north\", \"epsilon\": 1.5, \"epsilon_reserved\": 2,"
                 " \"epsilon_budget\": 3, \"delta\": 1e-5}]}",
                 NULL),
        CHOIR_OK);
    assert_int_equal(summary.rounds, 4);
    assert_int_equal(summary.bytes_down, 20);
    assert_float_equal(sites[0].epsilon, 1.5, 0);
    assert_true(isinf(sites[1].epsilon));
    assert_true(isnan(sites[1].epsilon_reserved));
}

static void the_sums_of_a_masked_run_are_read_and_printed(void **state)
{
    struct summary_site sites[2];
    struct summary summary = two_sites(sites);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    assert_int_equal(
        read_run(&summary,
                 "{\"run_seconds\": 2.5, \"bytes_up\": 10, \"bytes_down\": 20, \"rounds\": 4,"
                 " \"secure_aggregation\": true, \"masks\": {\"suite\": \"chacha20\", \"sums\": 4,"
                 " \"least_sites\": 3, \"most_sites\": 4, \"may_be_lost\": 1, \"may_collude\": 0},"
                 " \"sites\": ["
                 "{\"name\": \"south\", \"epsilon\": 1, \"epsilon_reserved\": 1,"
                 " \"epsilon_budget\": 3, \"delta\": 1e-5},"
                 "{\"name\": \"north\", \"epsilon\": 1.5, \"epsilon_reserved\": 2,"
                 " \"epsilon_budget\": 3, \"delta\": 1e-5}]}",
                 NULL),
        CHOIR_OK);
    summary_print(&summary, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "Secure aggregation on (chacha20): the aggregator learnt 4 sums,\n"
                                 "  each over 3 to 4 of 2 sites, and no single update."));
    assert_non_null(strstr(text, "could lose\n  1 of them; 0 may collude"));
    free(text);
}

static void masks_without_figures_are_an_error(void **state)
{
    struct summary_site sites[2];
    struct summary summary = two_sites(sites);
    struct choir_diag diag = {0};

    (void)state;
    assert_int_equal(
        read_run(&summary,
                 "{\"run_seconds\": 2.5, \"bytes_up\": 10, \"bytes_down\": 20, \"rounds\": 4,"
                 " \"secure_aggregation\": true, \"sites\": []}",
                 &diag),
        CHOIR_ERR_MISSING);
    assert_non_null(strstr(diag.message, "masks"));
}

static void a_site_that_the_run_does_not_name_is_an_error(void **state)
{
    struct summary_site sites[2];
    struct summary summary = two_sites(sites);
    struct choir_diag diag = {0};

    (void)state;
    assert_int_equal(
        read_run(&summary,
                 "{\"run_seconds\": 2.5, \"bytes_up\": 10, \"bytes_down\": 20, \"rounds\": 4,"
                 " \"secure_aggregation\": false, \"sites\": []}",
                 &diag),
        CHOIR_ERR_MISSING);
    assert_non_null(strstr(diag.message, "north"));
}

static void the_summary_is_strict_json_with_null_where_there_is_no_auc(void **state)
{
    struct summary_site sites[2];
    struct summary summary = two_sites(sites);
    struct json *json = NULL;
    const struct json_node *list = NULL;
    char *text = NULL;
    size_t len = 0;

    (void)state;
    sites[0].epsilon = (double)INFINITY;
    assert_int_equal(summary_json(&summary, &text, &len), CHOIR_OK);
    assert_int_equal(json_parse(text, len, len, "summary.json", &json, NULL), CHOIR_OK);
    list = json_get(json_root(json), "sites");
    assert_int_equal(json_count(list), 2);
    assert_string_equal(json_text(json_get(json_at(list, 0), "epsilon")), "inf");
    assert_int_equal(json_kind(json_get(json_at(list, 1), "auc_local")), JSON_NULL);
    assert_string_equal(json_text(json_get(json_root(json), "mechanism")), "none");
    assert_int_equal(strlen(json_text(json_get(json_root(json), "plan_hash"))), 64);
    json_free(json);
    free(text);
}

static void the_table_says_that_only_a_demo_can_make_it(void **state)
{
    struct summary_site sites[2];
    struct summary summary = two_sites(sites);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    summary_print(&summary, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "Demo only"));
    assert_non_null(strstr(text, "+0.150"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_read_with_bounded_and_unbounded_epsilons),
        cmocka_unit_test(the_sums_of_a_masked_run_are_read_and_printed),
        cmocka_unit_test(masks_without_figures_are_an_error),
        cmocka_unit_test(a_site_that_the_run_does_not_name_is_an_error),
        cmocka_unit_test(the_summary_is_strict_json_with_null_where_there_is_no_auc),
        cmocka_unit_test(the_table_says_that_only_a_demo_can_make_it),
    };

    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
