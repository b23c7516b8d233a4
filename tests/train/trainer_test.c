#include "train/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "privacy/mechanism.h"
#include "tests/train/near.h"
#include "tests/train/reference_net.h"

enum { D = 4, ROWS = 300, LR_PARAMS = D + 1 };

// The linker's names for --wrap. NOLINTBEGIN(bugprone-reserved-identifier,cert-*,readability-identifier-naming)
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static size_t n_taken; // how often the code under test asked for memory

void *__wrap_malloc(size_t size)
{
    n_taken++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_taken++;
    return __real_calloc(n, size);
}
// NOLINTEND(bugprone-reserved-identifier,cert-*,readability-identifier-naming)

static const struct model_spec lr = {.n_inputs = D, .n_layers = 1, .layers = {{.units = 1}}};
static const struct model_spec mlp = {
    .n_inputs = D, .n_layers = 2, .layers = {{8, MODEL_TANH}, {1, MODEL_NONE}}, .init_seed = 1};
static struct dataset *dataset;

// Records uniform in the cube; the label is whether x0 + x1 > 0.
static int make_data(void **state)
{
    static const uint8_t seed[RNG_SEED_BYTES] = {3};
    struct rng *rng = NULL;

    (void)state;
    if (rng_open_seeded("trainer test", seed, &rng) != CHOIR_OK ||
        dataset_new(ROWS, D, &dataset) != CHOIR_OK)
        return -1;
    for (size_t i = 0; i < (size_t)ROWS * D; i++)
        dataset->x[i] = (float)(2.0 * rng_unit(rng) - 1.0);
    for (size_t i = 0; i < ROWS; i++)
        dataset->y[i] = dataset->x[i * D] + dataset->x[i * D + 1] > 0.0F ? 1.0F : 0.0F;
    rng_close(rng);
    return 0;
}

static int drop_data(void **state)
{
    (void)state;
    dataset_free(dataset);
    dataset = NULL;
    return 0;
}

static struct training plain(void)
{
    return (struct training){.local_steps = 1,
                             .optimizer = {.kind = OPTIMIZER_SGD, .learning_rate = 0.5},
                             .sampling_rate = 1.0,
                             .nominal_size = ROWS};
}

static struct training private_training(void)
{
    struct training training = plain();

    training.dp = true;
    training.clip_norm = 1.0;
    training.noise_multiplier = 1.0;
    return training;
}

static struct trainer *new_trainer(const struct model_spec *model, const struct training *training)
{
    struct trainer *trainer = NULL;
    struct choir_diag diag = {0};

    if (trainer_new(model, dataset, training, &trainer, &diag) != CHOIR_OK)
        fail_msg("%s: %s", diag.place, diag.message);
    return trainer;
}

static struct rng *stream(const char *purpose, uint8_t first)
{
    uint8_t seed[RNG_SEED_BYTES] = {first};
    struct rng *rng = NULL;

    assert_int_equal(rng_open_seeded(purpose, seed, &rng), CHOIR_OK);
    return rng;
}

static enum choir_err run_round(struct trainer *trainer, const float *global, float *delta,
                                struct trainer_report *report)
{
    struct rng *sample = stream("sample", 1), *noise = stream("noise", 1);
    enum choir_err err = trainer_run_round(trainer, global, delta, sample, noise, report);

    rng_close(sample);
    rng_close(noise);
    return err;
}

static void a_full_step_moves_along_the_mean_gradient_by_the_public_size(void **state)
{
    struct training training = plain();
    float global[LR_PARAMS] = {0.3F, -0.2F, 0.1F, 0.0F, 0.05F}, delta[LR_PARAMS];
    double expected[LR_PARAMS] = {0}, grad[REFERENCE_MAX] = {0};
    struct trainer *trainer;

    (void)state;
    training.nominal_size = 100; // the site has more; the divisor is the public number
    trainer = new_trainer(&lr, &training);
    assert_int_equal(run_round(trainer, global, delta, NULL), CHOIR_OK);
    for (size_t i = 0; i < ROWS; i++) {
        reference_grad(&lr, global, dataset->x + i * D, dataset->y[i], grad);
        for (size_t j = 0; j < LR_PARAMS; j++)
            expected[j] -= 0.5 * grad[j] / 100.0;
    }
    assert_true(are_near(delta, expected, LR_PARAMS, 1e-5));
    trainer_free(trainer);
}

static void an_mlp_takes_the_same_kind_of_step(void **state)
{
    struct training training = plain();
    size_t n = model_n_params(&mlp);
    float global[REFERENCE_MAX], delta[REFERENCE_MAX];
    double expected[REFERENCE_MAX] = {0}, grad[REFERENCE_MAX] = {0};
    struct trainer *trainer = new_trainer(&mlp, &training);

    (void)state;
    assert_int_equal(model_init(&mlp, global), CHOIR_OK);
    assert_int_equal(run_round(trainer, global, delta, NULL), CHOIR_OK);
    for (size_t i = 0; i < ROWS; i++) {
        reference_grad(&mlp, global, dataset->x + i * D, dataset->y[i], grad);
        for (size_t j = 0; j < n; j++)
            expected[j] -= 0.5 * grad[j] / ROWS;
    }
    assert_true(are_near(delta, expected, n, 1e-5));
    trainer_free(trainer);
}

// Noise of the same stream on a sum of zeros is what an empty sample must give.
static void an_empty_sample_gives_noise_alone(void **state)
{
    struct training training = private_training();
    struct mechanism mechanism = {.kind = MECHANISM_DP_SGD,
                                  .sampling_rate = 1e-9,
                                  .local_steps = 1,
                                  .n_params = LR_PARAMS,
                                  .nominal_size = 1e9,
                                  .clip_norm = 1.0,
                                  .noise_multiplier = 1.0};
    float global[LR_PARAMS] = {0}, delta[LR_PARAMS];
    double sum[LR_PARAMS] = {0};
    struct rng *noise = stream("noise", 1);
    struct trainer_report report;
    struct trainer *trainer;

    (void)state;
    training.sampling_rate = 1e-9;
    training.nominal_size = 1e9;
    trainer = new_trainer(&lr, &training);
    assert_int_equal(run_round(trainer, global, delta, &report), CHOIR_OK);
    assert_int_equal(report.n_drawn, 0);
    assert_true(isnan(report.mean_loss) != 0);
    assert_int_equal(mechanism_make(&mechanism), CHOIR_OK);
    assert_int_equal(mechanism_release(&mechanism, sum, noise), CHOIR_OK);
    for (size_t j = 0; j < LR_PARAMS; j++) {
        assert_true(is_near((double)delta[j], -0.5 * sum[j], 1e-6));
        assert_true(fabs(sum[j]) > 0.0);
    }
    rng_close(noise);
    trainer_free(trainer);
}

static void an_empty_sample_without_a_mechanism_moves_nothing(void **state)
{
    struct training training = plain();
    float global[LR_PARAMS] = {1, 2, 3, 4, 5}, delta[LR_PARAMS];
    struct trainer *trainer;

    (void)state;
    training.sampling_rate = 1e-12;
    trainer = new_trainer(&lr, &training);
    assert_int_equal(run_round(trainer, global, delta, NULL), CHOIR_OK);
    assert_true(are_near(delta, (const double[LR_PARAMS]){0}, LR_PARAMS, 0.0));
    trainer_free(trainer);
}

static void l2_pulls_weights_and_not_biases(void **state)
{
    struct training training = plain();
    float global[LR_PARAMS] = {1, 2, 3, 4, 5}, delta[LR_PARAMS];
    struct trainer *trainer;

    (void)state;
    training.sampling_rate = 1e-12;
    training.l2 = 0.1;
    trainer = new_trainer(&lr, &training);
    assert_int_equal(run_round(trainer, global, delta, NULL), CHOIR_OK);
    assert_true(are_near(delta, (const double[]){-0.05, -0.1, -0.15, -0.2, 0.0}, LR_PARAMS, 1e-6));
    trainer_free(trainer);
}

static double length(const float *vector, size_t n)
{
    double squares = 0.0;

    for (size_t i = 0; i < n; i++)
        squares += (double)vector[i] * (double)vector[i];
    return sqrt(squares);
}

static void the_proximal_term_keeps_the_local_model_near_the_global_one(void **state)
{
    struct training training = plain();
    float global[LR_PARAMS] = {0}, free_delta[LR_PARAMS], held_delta[LR_PARAMS];
    struct trainer *free_trainer, *held;

    (void)state;
    training.local_steps = 50;
    free_trainer = new_trainer(&lr, &training);
    training.proximal_mu = 1.0;
    held = new_trainer(&lr, &training);
    assert_int_equal(run_round(free_trainer, global, free_delta, NULL), CHOIR_OK);
    assert_int_equal(run_round(held, global, held_delta, NULL), CHOIR_OK);
    assert_true(length(held_delta, LR_PARAMS) < 0.5 * length(free_delta, LR_PARAMS));
    assert_true(length(held_delta, LR_PARAMS) > 0.0);
    trainer_free(free_trainer);
    trainer_free(held);
}

// Also: the optimiser's state is fresh in each round, or the second would differ.
static void the_same_streams_give_the_same_delta(void **state)
{
    struct training training = private_training();
    float global[REFERENCE_MAX], first[REFERENCE_MAX], second[REFERENCE_MAX];
    struct trainer *trainer;

    (void)state;
    training.sampling_rate = 0.3;
    training.local_steps = 5;
    training.optimizer = (struct optimizer_spec){.kind = OPTIMIZER_ADAM,
                                                 .learning_rate = 0.01,
                                                 .beta1 = 0.9,
                                                 .beta2 = 0.999,
                                                 .epsilon = 1e-8};
    trainer = new_trainer(&mlp, &training);
    assert_int_equal(model_init(&mlp, global), CHOIR_OK);
    assert_int_equal(run_round(trainer, global, first, NULL), CHOIR_OK);
    assert_int_equal(run_round(trainer, global, second, NULL), CHOIR_OK);
    assert_memory_equal(first, second, model_n_params(&mlp) * sizeof *first);
    trainer_free(trainer);
}

static void expect_learning(const struct model_spec *model, struct training training)
{
    float global[REFERENCE_MAX], delta[REFERENCE_MAX];
    struct trainer_report before, after;
    struct trainer *trainer;

    training.local_steps = 100;
    training.sampling_rate = 0.5;
    trainer = new_trainer(model, &training);
    assert_int_equal(model_init(model, global), CHOIR_OK);
    assert_int_equal(run_round(trainer, global, delta, &before), CHOIR_OK);
    for (size_t i = 0; i < model_n_params(model); i++)
        global[i] += delta[i];
    assert_int_equal(run_round(trainer, global, delta, &after), CHOIR_OK);
    assert_true(after.mean_loss < before.mean_loss);
    assert_true(after.mean_loss < 0.45);
    assert_in_range(after.n_drawn, 100 * ROWS / 2 - 1000, 100 * ROWS / 2 + 1000);
    trainer_free(trainer);
}

static void models_learn_with_and_without_privacy(void **state)
{
    (void)state;
    expect_learning(&lr, plain());
    expect_learning(&mlp, plain());
    expect_learning(&lr, private_training());
    expect_learning(&mlp, private_training());
}

static void expect_no_memory_taken(const struct model_spec *model)
{
    struct training training = private_training();
    float global[REFERENCE_MAX], delta[REFERENCE_MAX];
    struct rng *sample = stream("sample", 2), *noise = stream("noise", 2);
    struct trainer *trainer;
    size_t before;

    training.local_steps = 20;
    training.sampling_rate = 0.4;
    trainer = new_trainer(model, &training);
    assert_int_equal(model_init(model, global), CHOIR_OK);
    before = n_taken;
    assert_int_equal(trainer_run_round(trainer, global, delta, sample, noise, NULL), CHOIR_OK);
    assert_int_equal(n_taken, before);
    assert_true(before > 0); // the count works
    trainer_free(trainer);
    rng_close(sample);
    rng_close(noise);
}

static void a_round_takes_no_memory(void **state)
{
    (void)state;
    expect_no_memory_taken(&lr);
    expect_no_memory_taken(&mlp);
}

static void a_round_that_diverges_is_an_error_and_leaves_zeros(void **state)
{
    struct training training = plain();
    float global[LR_PARAMS] = {0}, delta[LR_PARAMS];
    struct trainer *trainer;

    (void)state;
    training.local_steps = 4;
    training.l2 = 1e30;
    training.optimizer.learning_rate = 1e30;
    trainer = new_trainer(&lr, &training);
    assert_int_equal(run_round(trainer, global, delta, NULL), CHOIR_ERR_FORMAT);
    assert_true(are_near(delta, (const double[LR_PARAMS]){0}, LR_PARAMS, 0.0));
    trainer_free(trainer);
}

static void expect_refused(const struct model_spec *model, struct training training,
                           const char *place)
{
    struct trainer *trainer = NULL;
    struct choir_diag diag = {0};

    assert_int_equal(trainer_new(model, dataset, &training, &trainer, &diag), CHOIR_ERR_FORMAT);
    assert_string_equal(diag.place, place);
    assert_null(trainer);
}

static void values_out_of_range_and_unfit_data_are_refused(void **state)
{
    struct training training = private_training();
    struct model_spec wide = lr;

    (void)state;
    training.sampling_rate = 0.0;
    expect_refused(&lr, training, "privacy.sampling_rate");
    training = private_training();
    training.clip_norm = (double)NAN;
    expect_refused(&lr, training, "privacy.clip_norm");
    training = private_training();
    training.noise_multiplier = 0.0;
    expect_refused(&lr, training, "privacy.noise_multiplier");
    training = private_training();
    training.local_steps = 0;
    expect_refused(&lr, training, "training.local_steps");
    training = private_training();
    training.nominal_size = 10;
    expect_refused(&lr, training, "data");
    wide.n_inputs = D + 1;
    expect_refused(&wide, private_training(), "data");
    dataset->y[7] = 2.0F;
    expect_refused(&lr, private_training(), "data");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_data, drop_data)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_step_moves_along_the_mean_gradient_by_the_public_size),
        TEST(an_mlp_takes_the_same_kind_of_step),
        TEST(an_empty_sample_gives_noise_alone),
        TEST(an_empty_sample_without_a_mechanism_moves_nothing),
        TEST(l2_pulls_weights_and_not_biases),
        TEST(the_proximal_term_keeps_the_local_model_near_the_global_one),
        TEST(the_same_streams_give_the_same_delta),
        TEST(models_learn_with_and_without_privacy),
        TEST(a_round_takes_no_memory),
        TEST(a_round_that_diverges_is_an_error_and_leaves_zeros),
        TEST(values_out_of_range_and_unfit_data_are_refused),
    };

    return rng_start() == CHOIR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
