#include "train/pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/rng.h"
#include "tests/train/near.h"
#include "tests/train/reference_net.h"

enum { INPUTS = 5, ROWS = 150 };

static struct rng *rng;
static float x[ROWS * INPUTS], labels[ROWS], params[REFERENCE_MAX];

static struct model_spec spec_of(enum model_activation first, enum model_activation second,
                                 enum model_loss loss)
{
    return (struct model_spec){
        .n_inputs = INPUTS,
        .n_layers = 3,
        .layers = {{7, first}, {4, second}, {loss == MODEL_LOGISTIC ? 1 : 3, MODEL_NONE}},
        .loss = loss,
        .init_seed = 3};
}

// Random records, labels and parameters (biases too), the same in every run.
static struct pass *new_pass(const struct model_spec *spec)
{
    static const uint8_t seed[RNG_SEED_BYTES] = {1};
    struct pass *pass = NULL;

    assert_int_equal(rng_open_seeded("pass test", seed, &rng), CHOIR_OK);
    assert_int_equal(pass_new(spec, ROWS, true, &pass), CHOIR_OK);
    for (size_t i = 0; i < (size_t)ROWS * INPUTS; i++)
        x[i] = (float)(4.0 * rng_unit(rng) - 2.0);
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = (float)rng_below(rng, spec->loss == MODEL_LOGISTIC ? 2 : 3);
    for (size_t i = 0; i < model_n_params(spec); i++)
        params[i] = (float)(2.0 * rng_unit(rng) - 1.0);
    rng_close(rng);
    return pass;
}

static void run(struct pass *pass, const float *records, const float *truth, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memcpy(pass_input(pass, i), records + i * INPUTS, INPUTS * sizeof *records);
    (void)pass_forward(pass, params, n);
    pass_backward(pass, params, truth, n);
}

static void expect_finite_differences(struct model_spec spec)
{
    struct pass *pass = new_pass(&spec);
    size_t n = model_n_params(&spec);
    double expected[REFERENCE_MAX] = {0}, found[REFERENCE_MAX], norm;

    for (size_t i = 0; i < 20; i++) {
        memset(found, 0, sizeof found);
        run(pass, x + i * INPUTS, labels + i, 1);
        pass_norms(pass, 1, &norm);
        pass_add_gradients(pass, 1, false, found);
        reference_grad(&spec, params, x + i * INPUTS, labels[i], expected);
        for (size_t j = 0; j < n; j++)
            assert_true(is_near(found[j], expected[j], 1e-5));
        assert_true(is_near(norm, reference_norm(found, n), 1e-5 * norm));
    }
    pass_free(pass);
}

static void gradients_and_norms_of_every_layer_kind_are_those_of_finite_differences(void **state)
{
    (void)state;
    expect_finite_differences(spec_of(MODEL_RELU, MODEL_NONE, MODEL_LOGISTIC));
    expect_finite_differences(spec_of(MODEL_TANH, MODEL_SIGMOID, MODEL_LOGISTIC));
    expect_finite_differences(spec_of(MODEL_SIGMOID, MODEL_RELU, MODEL_SOFTMAX));
    expect_finite_differences(spec_of(MODEL_NONE, MODEL_TANH, MODEL_SOFTMAX));
}

static void a_scaled_batch_adds_up_to_the_scaled_gradients_one_by_one(void **state)
{
    struct model_spec spec = spec_of(MODEL_TANH, MODEL_RELU, MODEL_LOGISTIC);
    struct pass *pass = new_pass(&spec);
    size_t n = model_n_params(&spec);
    double expected[REFERENCE_MAX] = {0}, found[REFERENCE_MAX] = {0}, grad[REFERENCE_MAX] = {0};

    (void)state;
    run(pass, x, labels, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        float factor = (float)(i % 7) / 6.0F; // 0 for some

        pass_scale(pass, i, factor);
        reference_grad(&spec, params, x + i * INPUTS, labels[i], grad);
        for (size_t j = 0; j < n; j++)
            expected[j] += (double)factor * grad[j];
    }
    pass_add_gradients(pass, ROWS, false, found);
    for (size_t j = 0; j < n; j++)
        assert_true(is_near(found[j], expected[j], 1e-4));
    pass_add_gradients(pass, ROWS, true, found);
    for (size_t j = 0; j < n; j++)
        assert_true(is_near(found[j], expected[j], 1e-4));
    pass_free(pass);
}

static void a_record_that_is_not_finite_has_no_norm_and_can_be_taken_out(void **state)
{
    struct model_spec spec = spec_of(MODEL_NONE, MODEL_NONE, MODEL_LOGISTIC);
    struct pass *pass = new_pass(&spec);
    double with[REFERENCE_MAX] = {0}, without[REFERENCE_MAX] = {0}, norms[3];

    (void)state;
    x[INPUTS] = NAN;
    x[(size_t)2 * INPUTS] = 3e38F; // overflows on the way
    run(pass, x, labels, 3);
    pass_norms(pass, 3, norms);
    assert_true(isfinite(norms[0]) != 0);
    assert_true(isfinite(norms[1]) == 0);
    assert_true(isfinite(norms[2]) == 0);
    pass_scale(pass, 1, 0.0F);
    pass_scale(pass, 2, 0.0F);
    pass_add_gradients(pass, 3, false, with);
    run(pass, x, labels, 1);
    pass_add_gradients(pass, 1, false, without);
    for (size_t j = 0; j < model_n_params(&spec); j++)
        assert_true(is_near(with[j], without[j], 1e-6));
    pass_free(pass);
}

static void layers_larger_than_a_tile_are_added_up_whole(void **state)
{
    struct model_spec spec = {.n_inputs = 3000,
                              .n_layers = 2,
                              .layers = {{100, MODEL_NONE}, {1, MODEL_NONE}},
                              .loss = MODEL_LOGISTIC,
                              .init_seed = 5};
    size_t n = model_n_params(&spec);
    float *initial = calloc(n, sizeof *initial), truth[2] = {0.0F, 1.0F};
    double *sum = calloc(n, sizeof *sum), norms[2], squares = 0.0;
    struct pass *pass = NULL;

    (void)state;
    assert_int_equal(model_init(&spec, initial), CHOIR_OK);
    assert_int_equal(pass_new(&spec, 2, false, &pass), CHOIR_OK);
    for (size_t j = 0; j < spec.n_inputs; j++)
        pass_input(pass, 0)[j] = (float)(j % 10) / 10.0F;
    (void)pass_forward(pass, initial, 2);
    pass_backward(pass, initial, truth, 2);
    pass_norms(pass, 2, norms);
    pass_scale(pass, 1, 0.0F);
    pass_add_gradients(pass, 2, false, sum);
    for (size_t j = 0; j < n; j++)
        squares += sum[j] * sum[j];
    assert_true(is_near(sqrt(squares), norms[0], 1e-5 * norms[0]));
    pass_free(pass);
    free(initial);
    free(sum);
}

// Each record alone, then all together, then in another order: the same norms to the last bit.
static void a_record_does_not_feel_the_records_beside_it(void **state)
{
    struct model_spec spec = spec_of(MODEL_TANH, MODEL_RELU, MODEL_SOFTMAX);
    struct pass *pass = new_pass(&spec);
    double together[ROWS], alone, turned[ROWS];
    float turned_x[ROWS * INPUTS], turned_labels[ROWS];

    (void)state;
    run(pass, x, labels, ROWS);
    pass_norms(pass, ROWS, together);
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(turned_x + (ROWS - 1 - i) * INPUTS, x + i * INPUTS, INPUTS * sizeof *x);
        turned_labels[ROWS - 1 - i] = labels[i];
        run(pass, x + i * INPUTS, labels + i, 1);
        pass_norms(pass, 1, &alone);
        assert_memory_equal(&alone, &together[i], sizeof alone);
    }
    run(pass, turned_x, turned_labels, ROWS - 7);
    pass_norms(pass, ROWS - 7, turned);
    for (size_t i = 0; i < (size_t)ROWS - 7; i++)
        assert_memory_equal(&turned[i], &together[ROWS - 1 - i], sizeof *turned);
    pass_free(pass);
}

// A model can be made so that a hidden unit is huge and the gradient behind it tiny: its square is
// nothing in float, and the two together are not.
static void a_gradient_whose_square_vanishes_is_still_counted(void **state)
{
    const struct model_spec spec = {.n_inputs = 1,
                                    .n_layers = 2,
                                    .layers = {{1, MODEL_RELU}, {1, MODEL_NONE}},
                                    .loss = MODEL_LOGISTIC};
    const float crafted[] = {1e19F, 0.0F, -5.7e-18F, 0.0F}; // logit -57: a gradient near e^-57
    const float truth = 0.0F;
    struct pass *pass = NULL;
    double norm = 0.0, sum[4];

    (void)state;
    assert_int_equal(pass_new(&spec, 1, true, &pass), CHOIR_OK);
    pass_input(pass, 0)[0] = 1.0F;
    (void)pass_forward(pass, crafted, 1);
    pass_backward(pass, crafted, &truth, 1);
    pass_norms(pass, 1, &norm);
    pass_add_gradients(pass, 1, true, sum);
    assert_true(fabs(sum[2]) > 1e-7);
    assert_true(is_near(norm, reference_norm(sum, 4), 1e-5 * norm));
    pass_free(pass);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_and_norms_of_every_layer_kind_are_those_of_finite_differences),
        cmocka_unit_test(a_scaled_batch_adds_up_to_the_scaled_gradients_one_by_one),
        cmocka_unit_test(a_record_that_is_not_finite_has_no_norm_and_can_be_taken_out),
        cmocka_unit_test(a_record_does_not_feel_the_records_beside_it),
        cmocka_unit_test(layers_larger_than_a_tile_are_added_up_whole),
        cmocka_unit_test(a_gradient_whose_square_vanishes_is_still_counted),
    };

    return rng_start() == CHOIR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
