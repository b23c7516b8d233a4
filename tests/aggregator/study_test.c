#include "aggregator/study.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/aggregator/sample.h"

static enum choir_err open_study(const struct sample *sample, const char *text,
                                 const uint8_t signature[static SIGN_BYTES], struct study **study,
                                 struct choir_diag *diag)
{
    return study_open(&sample->roster, sample->folder, (const uint8_t *)text, strlen(text),
                      signature, study, diag);
}

static void a_plan_of_the_operator_becomes_a_run(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL);
    uint8_t signature[SIGN_BYTES], id[MESSAGE_RUN_BYTES] = {5};
    struct study *study = NULL;
    struct choir_diag diag = {0};
    struct gather_run *run = calloc(1, sizeof *run);

    assert_non_null(run);
    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, text, signature, &study, &diag), CHOIR_OK);
    study_run(study, id, run);
    assert_int_equal(run->n_sites, SAMPLE_SITES);
    assert_int_equal(run->site[0].id, 1);
    assert_int_equal(run->site[1].nominal_size, 50);
    assert_int_equal(run->rounds, 3);
    assert_int_equal(run->min_sites, 2);
    assert_int_equal(run->deadline_ms, 15000);
    assert_int_equal(run->update_bytes, 4 * (run->n_parameters + 1));
    assert_memory_equal(run->plan, text, strlen(text));
    study_close(study);
    free(run);
    free(text);
}

static void weights_add_up_by_site(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL);
    struct site_set sites = {0};
    uint8_t signature[SIGN_BYTES];
    struct study *study = NULL;
    struct choir_diag diag = {0};

    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, text, signature, &study, &diag), CHOIR_OK);
    site_set_add(&sites, 2);
    assert_float_equal((float)study_weight(study, &sites), 0.5F, 0.0F);
    site_set_add(&sites, 1);
    site_set_add(&sites, 3);
    assert_float_equal((float)study_weight(study, &sites), 2.5F, 0.0F);
    study_close(study);
    free(text);
}

static void a_plan_that_the_operator_did_not_sign_is_refused(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL);
    char *changed = sample_plan_text("\"rounds\": 3", "\"rounds\": 4");
    uint8_t signature[SIGN_BYTES];
    struct study *study = NULL;
    struct choir_diag diag = {0};

    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, changed, signature, &study, &diag), CHOIR_ERR_FORGED);
    assert_non_null(strstr(diag.message, "operator"));
    assert_null(study);
    free(text);
    free(changed);
}

static void a_site_that_is_not_on_the_roster_is_named(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text("\"south\"", "\"southern\"");
    uint8_t signature[SIGN_BYTES];
    struct study *study = NULL;
    struct choir_diag diag = {0};

    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, text, signature, &study, &diag), CHOIR_ERR_MISSING);
    assert_non_null(strstr(diag.message, "\"southern\""));
    free(text);
}

static void a_relay_is_not_shown_what_is_not_masked(void **state)
{
    struct sample *sample = *state;
    uint8_t signature[SIGN_BYTES];
    struct choir_diag diag = {0};
    struct study *study = NULL;
    char *text = sample_plan_text(NULL, NULL); // secure aggregation is off

    sample->roster.sites[1].relay = ROSTER_RELAY_FIRST;
    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, text, signature, &study, &diag), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "\"south\" is behind a relay"));
    free(text);
    text = sample_plan_text("\"secure_aggregation\": \"off\"", "\"secure_aggregation\": \"on\"");
    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, text, signature, &study, &diag), CHOIR_OK);
    study_close(study);
    free(text);
}

static void a_malformed_plan_is_refused_with_its_place(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text("\"rounds\": 3", "\"rounds\": -3");
    uint8_t signature[SIGN_BYTES];
    struct study *study = NULL;
    struct choir_diag diag = {0};

    sample_sign(sample, text, signature);
    assert_int_equal(open_study(sample, text, signature, &study, &diag), CHOIR_ERR_FORMAT);
    assert_non_null(strstr(diag.place, "rounds"));
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plan_of_the_operator_becomes_a_run),
        TEST(weights_add_up_by_site),
        TEST(a_plan_that_the_operator_did_not_sign_is_refused),
        TEST(a_site_that_is_not_on_the_roster_is_named),
        TEST(a_relay_is_not_shown_what_is_not_masked),
        TEST(a_malformed_plan_is_refused_with_its_place),
    };

    return cmocka_run_group_tests_name("study", tests, NULL, NULL);
}
