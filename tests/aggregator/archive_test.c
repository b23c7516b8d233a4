#include "aggregator/archive.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/aggregator/sample.h"
#include "train/safetensors.h"

static const char without_privacy[] =
    "\"privacy\": {\"mechanism\": \"none\", \"sampling_rate\": 0.1},\n";

/* A run of `plan_text` that ended; the caller closes study and annals. */
struct run {
    struct study *study;
    struct annals *annals;
    struct archive_figures figures;
};

static const uint8_t model_before[HASH_BYTES] = {1};

static void run_open(struct run *run, struct sample *sample, const char *text)
{
    uint8_t signature[SIGN_BYTES], *bytes = NULL;
    struct choir_diag diag = {0};
    size_t len = 0;
    char path[128];

    memset(run, 0, sizeof *run);
    assert_int_equal(roster_sign(&sample->roster, sample->root_secret, &bytes, &len), CHOIR_OK);
    assert_int_equal(
        file_replace(AT_FDCWD, sample_path(sample, "the-roster", path), 0644, bytes, len),
        CHOIR_OK);
    free(bytes);
    sample_sign(sample, text, signature);
    assert_int_equal(study_open(&sample->roster, sample->folder, (const uint8_t *)text,
                                strlen(text), signature, &run->study, &diag),
                     CHOIR_OK);
    assert_int_equal(global_init(run->study->global), CHOIR_OK);
    assert_int_equal(annals_open(sample_path(sample, "log.db", path), &sample->roster,
                                 sample->aggregator_secret, &run->annals),
                     CHOIR_OK);
    run->figures.complete = true;
    run->figures.rounds = 3;
    run->figures.elapsed_ms = 1500;
    site_set_add(&run->figures.participants, 1);
    site_set_add(&run->figures.participants, 3);
}

static void run_archive(const struct run *run, const struct sample *sample)
{
    char path[128];

    sample_path(sample, "the-roster", path);
    assert_int_equal(archive_write(sample->folder, run->study, &sample->roster, path, run->annals,
                                   &run->figures),
                     CHOIR_OK);
}

static void run_close(struct run *run)
{
    annals_close(run->annals);
    study_close(run->study);
}

static char *read_text(const struct sample *sample, const char *name, size_t *len)
{
    uint8_t *bytes = NULL;
    char path[128];

    assert_int_equal(file_read(sample_path(sample, name, path), 1 << 20, &bytes, len), CHOIR_OK);
    return (char *)bytes;
}

static void all_papers_are_there(void **state)
{
    static const char *const papers[] = {"model.safetensors", "model-card.md",  "plan.json",
                                         "roster.bin",        "federation.log", "run.json"};
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL), *plan;
    struct run run;
    size_t len = 0;

    run_open(&run, sample, text);
    assert_false(archive_is_there(sample->folder));
    run_archive(&run, sample);
    for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++)
        assert_true(sample_has(sample, papers[i]));
    assert_true(archive_is_there(sample->folder));
    plan = read_text(sample, "plan.json", &len);
    assert_string_equal(plan, text); // byte for byte as it was signed
    free(plan);
    run_close(&run);
    free(text);
}

static void the_model_reads_back_with_its_notes(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL), *model, note[64] = "";
    size_t len = 0;
    float *params;
    struct run run;

    run_open(&run, sample, text);
    run_archive(&run, sample);
    model = read_text(sample, "model.safetensors", &len);
    params = calloc(run.study->plan->n_params, sizeof *params);
    assert_non_null(params);
    assert_int_equal(
        safetensors_decode((const uint8_t *)model, len, &run.study->plan->model, params), CHOIR_OK);
    assert_memory_equal(params, global_params(run.study->global),
                        run.study->plan->n_params * sizeof *params);
    assert_int_equal(safetensors_note((const uint8_t *)model, len, "rounds", note, sizeof note),
                     CHOIR_OK);
    assert_string_equal(note, "3");
    free(params);
    free(model);
    run_close(&run);
    free(text);
}

static void the_figures_are_json(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL), *figures;
    size_t len = 0;
    struct run run;

    run_open(&run, sample, text);
    run_archive(&run, sample);
    figures = read_text(sample, "run.json", &len);
    assert_non_null(strstr(figures, "\"complete\": true"));
    assert_non_null(strstr(figures, "\"rounds\": 3"));
    assert_non_null(strstr(figures, "\"run_seconds\": 1.5"));
    free(figures);
    run_close(&run);
    free(text);
}

static void a_run_with_masks_tells_each_sum(void **state)
{
    static const struct site_set v0 = {.n = 3, .id = {1, 2, 3}}, u = {.n = 2, .id = {1, 3}};
    const struct gather_effect open = {
        .kind = GATHER_DO_OPENED,
        .opened = {
            .round = 1, .attempt = 2, .suite = 1, .threshold = 2, .minimum = 2, .sites = &v0}};
    const struct gather_effect close = {.kind = GATHER_DO_CLOSED,
                                        .closed = {.round = 1, .attempt = 2, .sites = &u}};
    struct sample *sample = *state;
    char *text =
             sample_plan_text("\"secure_aggregation\": \"off\"", "\"secure_aggregation\": \"on\""),
         *figures;
    size_t len = 0;
    struct run run;

    run_open(&run, sample, text);
    assert_int_equal(annals_effect(run.annals, run.figures.run, model_before, &open, NULL),
                     CHOIR_OK);
    assert_int_equal(annals_effect(run.annals, run.figures.run, model_before, &close, NULL),
                     CHOIR_OK);
    run_archive(&run, sample);
    figures = read_text(sample, "run.json", &len);
    assert_non_null(strstr(figures, "\"secure_aggregation\": true"));
    assert_non_null(strstr(figures, "\"masked_rounds\""));
    assert_non_null(strstr(figures, "\"attempt\": 2"));
    assert_non_null(strstr(figures, "\"sites\": 2"));
    assert_non_null(strstr(figures, "\"of\": 3"));
    assert_non_null(strstr(figures, "\"could_lose\": 1"));
    free(figures);
    run_close(&run);
    free(text);
}

static void the_card_says_who_did_not_take_part(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text(NULL, NULL), *card;
    size_t len = 0;
    struct run run;

    run_open(&run, sample, text);
    run.figures.complete = false;
    run.figures.rounds = 2;
    run_archive(&run, sample);
    card = read_text(sample, "model-card.md", &len);
    assert_non_null(strstr(card, "- north: took part\n- south: did NOT take part"));
    assert_non_null(strstr(card, "**Stopped early: 2 of 3 rounds.**"));
    assert_null(strstr(card, "NO DIFFERENTIAL PRIVACY"));
    assert_non_null(strstr(card, "## Inputs and output"));
    free(card);
    run_close(&run);
    free(text);
}

static void the_card_of_a_run_without_privacy_says_so(void **state)
{
    struct sample *sample = *state;
    char *text = sample_plan_text("\"dp_sgd\", \"sum\", \"server_optimizer\"],\n"
                                  " \"privacy\": {\"mechanism\": \"dp-sgd\", \"clip_norm\": 1.0, "
                                  "\"noise_multiplier\": 1.2,\n  \"sampling_rate\": 0.1, "
                                  "\"neighboring\": \"add_or_remove_one\", \"delta\": 1e-5},\n",
                                  "\"sgd\", \"sum\", \"server_optimizer\"],\n");
    char *at = strstr(text, " \"update\""), *open_text = NULL, *card;
    size_t len = 0;
    struct run run;

    assert_true(asprintf(&open_text, "%.*s%s%s", (int)(at - text), text, without_privacy, at) > 0);
    run_open(&run, sample, open_text);
    run_archive(&run, sample);
    card = read_text(sample, "model-card.md", &len);
    assert_non_null(strstr(card, "**NO DIFFERENTIAL PRIVACY"));
    assert_non_null(strstr(card, "none: no differential privacy"));
    free(card);
    run_close(&run);
    free(open_text);
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_papers_are_there),
        TEST(the_model_reads_back_with_its_notes),
        TEST(the_figures_are_json),
        TEST(a_run_with_masks_tells_each_sum),
        TEST(the_card_says_who_did_not_take_part),
        TEST(the_card_of_a_run_without_privacy_says_so),
    };

    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
