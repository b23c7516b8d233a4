#include "train/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/hash.h"
#include "crypto/rng.h"
#include "tests/train/near.h"

static struct model_spec two_layers(enum model_activation activation)
{
    return (struct model_spec){.n_inputs = 2,
                               .n_layers = 2,
                               .layers = {{2, activation}, {1, MODEL_NONE}},
                               .loss = MODEL_LOGISTIC,
                               .init_seed = 1};
}

static void layers_follow_one_another_in_the_flat_block(void **state)
{
    struct model_spec spec = two_layers(MODEL_RELU);
    struct model_view second = model_layer_view(&spec, 1);

    (void)state;
    assert_int_equal(model_n_params(&spec), 9);
    assert_int_equal(second.weight, 6);
    assert_int_equal(second.bias, 8);
    assert_int_equal(second.in, 2);
    assert_int_equal(second.out, 1);
}

static void logits_are_those_worked_out_by_hand(void **state)
{
    // z = (x0 + 3 x1 + 0.5, 2 x0 - x1 - 0.5), logit = act(z0) - act(z1) + 0.25
    static const float params[] = {1, 2, 3, -1, 0.5F, -0.5F, 1, -1, 0.25F};
    static const float x[] = {1, -1, 0.5F, 0.25F};
    struct model_spec spec = two_layers(MODEL_NONE);
    float logits[2];

    (void)state;
    assert_int_equal(model_logits(&spec, params, x, 2, logits), CHOIR_OK);
    assert_true(are_near(logits, (const double[]){-1.5 - 2.5 + 0.25, 1.75 - 0.25 + 0.25}, 2, 1e-6));
    spec.layers[0].activation = MODEL_RELU;
    assert_int_equal(model_logits(&spec, params, x, 2, logits), CHOIR_OK);
    assert_true(are_near(logits, (const double[]){-2.25, 1.75}, 2, 1e-6));
    spec.layers[0].activation = MODEL_TANH;
    assert_int_equal(model_logits(&spec, params, x, 2, logits), CHOIR_OK);
    assert_true(is_near((double)logits[0], tanh(-1.5) - tanh(2.5) + 0.25, 1e-6));
    spec.layers[0].activation = MODEL_SIGMOID;
    assert_int_equal(model_logits(&spec, params, x, 2, logits), CHOIR_OK);
    assert_true(is_near((double)logits[0], 1 / (1 + exp(1.5)) - 1 / (1 + exp(-2.5)) + 0.25, 1e-6));
}

static void more_records_than_one_workspace_give_the_same_logits(void **state)
{
    enum { ROWS = 700 };
    struct model_spec spec = two_layers(MODEL_TANH);
    float *x = calloc((size_t)2 * ROWS, sizeof *x), *logits = calloc(ROWS, sizeof *logits),
          params[9], one;

    (void)state;
    assert_int_equal(model_init(&spec, params), CHOIR_OK);
    for (size_t i = 0; i < 2 * (size_t)ROWS; i++)
        x[i] = (float)(i % 13) / 6.0F - 1.0F;
    assert_int_equal(model_logits(&spec, params, x, ROWS, logits), CHOIR_OK);
    assert_int_equal(model_logits(&spec, params, x + (size_t)2 * 650, 1, &one), CHOIR_OK);
    assert_true(is_near((double)one, (double)logits[650], 1e-6));
    free(x);
    free(logits);
}

static void a_single_layer_begins_at_zero(void **state)
{
    struct model_spec spec = {.n_inputs = 3, .n_layers = 1, .layers = {{.units = 1}}};
    float params[4] = {1, 1, 1, 1};

    (void)state;
    assert_int_equal(model_init(&spec, params), CHOIR_OK);
    assert_true(are_near(params, (const double[]){0, 0, 0, 0}, 4, 0.0));
}

// Pinned by a separate calculation (HMAC-SHA-256, ChaCha20 and the two limits, written out in
// another language): another result on another machine would split a federation.
static void the_initial_model_is_the_same_on_every_machine(void **state)
{
    struct model_spec spec = {.n_inputs = 20,
                              .n_layers = 2,
                              .layers = {{16, MODEL_RELU}, {1, MODEL_NONE}},
                              .init_seed = 7};
    float params[20 * 16 + 16 + 16 + 1], other[20 * 16 + 16 + 16 + 1];
    double limit = sqrt(6.0 / 20.0);
    uint8_t hash[HASH_BYTES];
    char text[2 * HASH_BYTES + 1];

    (void)state;
    assert_int_equal(model_init(&spec, params), CHOIR_OK);
    for (size_t i = 0; i < (size_t)20 * 16; i++)
        assert_true(fabs((double)params[i]) <= limit);
    assert_true(are_near(params + (size_t)20 * 16, (const double[16]){0}, 16, 0.0));
    hash_bytes(hash, params, sizeof params);
    hex_put(text, hash, sizeof hash);
    assert_string_equal(text, "f83a1c7977e12a623f663eecfbdc808bf88e6a5116a73febfdfd5b9dace133b9");
    spec.init_seed = 8;
    assert_int_equal(model_init(&spec, other), CHOIR_OK);
    assert_memory_not_equal(params, other, sizeof params);
}

static void specs_out_of_range_are_refused(void **state)
{
    struct model_spec spec = two_layers(MODEL_RELU);

    (void)state;
    assert_int_equal(model_check(&spec, NULL), CHOIR_OK);
    spec.layers[1].activation = MODEL_RELU;
    assert_int_equal(model_check(&spec, NULL), CHOIR_ERR_FORMAT);
    spec = two_layers(MODEL_RELU);
    spec.layers[1].units = 2;
    assert_int_equal(model_check(&spec, NULL), CHOIR_ERR_FORMAT);
    spec.loss = MODEL_SOFTMAX;
    assert_int_equal(model_check(&spec, NULL), CHOIR_OK);
    spec.layers[0].units = MODEL_MAX_UNITS + 1;
    assert_int_equal(model_check(&spec, NULL), CHOIR_ERR_FORMAT);
    spec.layers[0].units = MODEL_MAX_UNITS;
    spec.n_inputs = 1 << 20;
    assert_int_equal(model_check(&spec, NULL), CHOIR_ERR_FORMAT);
    spec.n_layers = 0;
    assert_int_equal(model_check(&spec, NULL), CHOIR_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_follow_one_another_in_the_flat_block),
        cmocka_unit_test(logits_are_those_worked_out_by_hand),
        cmocka_unit_test(more_records_than_one_workspace_give_the_same_logits),
        cmocka_unit_test(a_single_layer_begins_at_zero),
        cmocka_unit_test(the_initial_model_is_the_same_on_every_machine),
        cmocka_unit_test(specs_out_of_range_are_refused),
    };

    return rng_start() == CHOIR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
