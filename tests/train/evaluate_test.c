#include "train/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/train/near.h"

enum { N = 300 };

static float scores[N], labels[N];

// Scores on a coarse grid, so that many tie, with labels that lean on them.
static int make_scores(void **state)
{
    uint32_t word = 12345;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        word = word * 1664525U + 1013904223U;
        scores[i] = (float)((word >> 16) % 11) / 4.0F - 1.25F;
        word = word * 1664525U + 1013904223U;
        labels[i] = (float)((word >> 16) % 100) / 25.0F - 2.0F < scores[i] ? 1.0F : 0.0F;
    }
    return 0;
}

static double auc_by_pairs(void)
{
    double wins = 0.0, pairs = 0.0;

    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            if (labels[i] > labels[j]) {
                pairs += 1.0;
                wins += scores[i] > scores[j] ? 1.0 : scores[i] < scores[j] ? 0.0 : 0.5;
            }
    return wins / pairs;
}

static double share_up_to(float score, float label)
{
    double all = 0.0, below = 0.0;

    for (size_t i = 0; i < N; i++) {
        bool ours = (labels[i] > 0.5F) == (label > 0.5F);

        all += ours ? 1.0 : 0.0;
        below += ours && scores[i] <= score ? 1.0 : 0.0;
    }
    return below / all;
}

static double ks_by_thresholds(void)
{
    double gap = 0.0;

    for (size_t i = 0; i < N; i++)
        gap = fmax(gap, fabs(share_up_to(scores[i], 1.0F) - share_up_to(scores[i], 0.0F)));
    return gap;
}

static void auc_and_ks_agree_with_brute_force_in_the_presence_of_ties(void **state)
{
    struct evaluation found;

    (void)state;
    assert_int_equal(evaluate_scores(scores, labels, N, &found), CHOIR_OK);
    assert_true(found.has_ranks);
    assert_true(is_near(found.auc, auc_by_pairs(), 1e-12));
    assert_true(is_near(found.ks, ks_by_thresholds(), 1e-12));
    assert_true(found.auc > 0.6 && found.auc < 0.99);
}

static void loss_and_accuracy_are_those_of_the_definition(void **state)
{
    static const float logits[] = {2.0F, -1.0F, 0.5F, -100.0F};
    static const float truth[] = {1.0F, 0.0F, 0.0F, 1.0F};
    struct evaluation found;
    double loss = (log(1.0 + exp(-2.0)) + log(1.0 + exp(-1.0)) + log(1.0 + exp(0.5)) + 100.0) / 4.0;

    (void)state;
    assert_int_equal(evaluate_scores(logits, truth, 4, &found), CHOIR_OK);
    assert_true(is_near(found.loss, loss, 1e-12));
    assert_true(is_near(found.accuracy, 0.5, 1e-12));
    assert_int_equal(found.n_positive, 2);
}

static void with_one_class_there_is_no_auc(void **state)
{
    static const float logits[] = {2.0F, -1.0F}, truth[] = {1.0F, 1.0F};
    struct evaluation found;

    (void)state;
    assert_int_equal(evaluate_scores(logits, truth, 2, &found), CHOIR_OK);
    assert_false(found.has_ranks);
    assert_true(isnan(found.auc) != 0);
    assert_true(isnan(found.ks) != 0);
    assert_true(is_near(found.accuracy, 0.5, 1e-12));
}

static void empty_data_and_scores_that_are_not_finite_are_refused(void **state)
{
    static const float logits[] = {NAN, 1.0F}, truth[] = {1.0F, 0.0F};
    struct evaluation found;

    (void)state;
    assert_int_equal(evaluate_scores(logits, truth, 0, &found), CHOIR_ERR_FORMAT);
    assert_int_equal(evaluate_scores(logits, truth, 2, &found), CHOIR_ERR_FORMAT);
}

static void a_model_is_scored_on_its_records(void **state)
{
    struct model_spec model = {
        .n_inputs = 1, .n_layers = 1, .layers = {{.units = 1}}, .loss = MODEL_LOGISTIC};
    static const float params[] = {2.0F, -1.0F};
    struct dataset *dataset = NULL;
    struct evaluation found;

    (void)state;
    assert_int_equal(dataset_new(2, 1, &dataset), CHOIR_OK);
    dataset->x[0] = 1.0F;
    dataset->y[0] = 1.0F; // logit 1; the other record has x 0, label 0, logit -1
    assert_int_equal(evaluate_model(&model, params, dataset, &found), CHOIR_OK);
    assert_true(is_near(found.auc, 1.0, 1e-12));
    assert_true(is_near(found.loss, log(1.0 + exp(-1.0)), 1e-7));
    model.n_inputs = 2;
    assert_int_equal(evaluate_model(&model, params, dataset, &found), CHOIR_ERR_FORMAT);
    dataset_free(dataset);
}

static void several_classes_are_judged_by_the_largest_logit(void **state)
{
    struct model_spec model = {
        .n_inputs = 1, .n_layers = 1, .layers = {{.units = 3}}, .loss = MODEL_SOFTMAX};
    static const float params[] = {0.0F, 0.0F, 0.0F, 1.0F, 2.0F, 0.5F};
    struct dataset *dataset = NULL;
    struct evaluation found;

    (void)state;
    assert_int_equal(dataset_new(2, 1, &dataset), CHOIR_OK);
    dataset->y[0] = 1.0F;
    dataset->y[1] = 2.0F;
    assert_int_equal(evaluate_model(&model, params, dataset, &found), CHOIR_OK);
    assert_true(is_near(found.accuracy, 0.5, 1e-12));
    assert_true(is_near(found.loss, log(exp(1.0) + exp(2.0) + exp(0.5)) - 1.25, 1e-12));
    assert_false(found.has_ranks);
    dataset->y[1] = 3.0F;
    assert_int_equal(evaluate_model(&model, params, dataset, &found), CHOIR_ERR_FORMAT);
    dataset_free(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(auc_and_ks_agree_with_brute_force_in_the_presence_of_ties,
                               make_scores),
        cmocka_unit_test(loss_and_accuracy_are_those_of_the_definition),
        cmocka_unit_test(with_one_class_there_is_no_auc),
        cmocka_unit_test(empty_data_and_scores_that_are_not_finite_are_refused),
        cmocka_unit_test(a_model_is_scored_on_its_records),
        cmocka_unit_test(several_classes_are_judged_by_the_largest_logit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
