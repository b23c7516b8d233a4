#include "train/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/rng.h"
#include "train/blas.h"
#include "train/kernel.h"

static const size_t forward_rows = 256;

static size_t layer_inputs(const struct model_spec *spec, size_t layer)
{
    return layer == 0 ? spec->n_inputs : spec->layers[layer - 1].units;
}

static size_t layer_params(const struct model_spec *spec, size_t layer)
{
    return (layer_inputs(spec, layer) + 1) * spec->layers[layer].units;
}

enum choir_err model_check(const struct model_spec *spec, struct choir_diag *diag)
{
    const struct model_layer *last;
    size_t n_params = 0;

    if (spec->n_inputs < 1 || spec->n_inputs > 1 << 20)
        return diag_set(diag, CHOIR_ERR_FORMAT, "data.columns", "must give 1 to %d features",
                        1 << 20);
    if (spec->n_layers < 1 || spec->n_layers > MODEL_MAX_LAYERS)
        return diag_set(diag, CHOIR_ERR_FORMAT, "model.layers", "must list 1 to %d layers",
                        MODEL_MAX_LAYERS);
    for (size_t i = 0; i < spec->n_layers; i++) {
        if (spec->layers[i].units < 1 || spec->layers[i].units > MODEL_MAX_UNITS)
            return diag_set(diag, CHOIR_ERR_FORMAT, "model.layers",
                            "units of layer %zu must be 1 to %d", i, MODEL_MAX_UNITS);
        n_params += layer_params(spec, i);
    }
    if (n_params > MODEL_MAX_PARAMS)
        return diag_set(diag, CHOIR_ERR_FORMAT, "model.layers",
                        "give %zu parameters; at most %d are allowed", n_params, MODEL_MAX_PARAMS);
    last = &spec->layers[spec->n_layers - 1];
    if (last->activation != MODEL_NONE)
        return diag_set(diag, CHOIR_ERR_FORMAT, "model.layers",
                        "the last layer's activation must be \"none\"; the loss applies its own");
    if (spec->loss == MODEL_LOGISTIC ? last->units != 1 : last->units < 2)
        return diag_set(diag, CHOIR_ERR_FORMAT, "model.layers",
                        spec->loss == MODEL_LOGISTIC
                            ? "the last layer must have 1 unit for the loss \"logistic\""
                            : "the last layer must have 2 or more units for the loss \"softmax\"");
    return CHOIR_OK;
}

size_t model_n_params(const struct model_spec *spec)
{
    size_t n = 0;

    for (size_t i = 0; i < spec->n_layers; i++)
        n += layer_params(spec, i);
    return n;
}

struct model_view model_layer_view(const struct model_spec *spec, size_t layer)
{
    struct model_view view = {.in = layer_inputs(spec, layer), .out = spec->layers[layer].units};

    for (size_t i = 0; i < layer; i++)
        view.weight += layer_params(spec, i);
    view.bias = view.weight + view.in * view.out;
    return view;
}

enum choir_err model_init(const struct model_spec *spec, float *params)
{
    uint8_t seed[RNG_SEED_BYTES] = {0};
    struct rng *rng = NULL;
    enum choir_err err;

    memset(params, 0, model_n_params(spec) * sizeof *params);
    if (spec->n_layers == 1)
        return CHOIR_OK;
    (void)put_u64(seed, spec->init_seed);
    err = rng_open_seeded("model init", seed, &rng);
    if (err != CHOIR_OK)
        return err;
    for (size_t l = 0; l < spec->n_layers; l++) {
        struct model_view view = model_layer_view(spec, l);
        bool relu = spec->layers[l].activation == MODEL_RELU;
        // sqrt is exact to the last bit everywhere (IEEE 754), and so is the product below.
        double limit = sqrt(6.0 / (double)(relu ? view.in : view.in + view.out));

        for (size_t i = 0; i < view.in * view.out; i++)
            params[view.weight + i] = (float)(limit * (2.0 * rng_unit(rng) - 1.0));
    }
    rng_close(rng);
    return CHOIR_OK;
}

void model_layer_forward(const struct model_spec *spec, size_t layer, const float *params,
                         const float *in, size_t n, float *out)
{
    struct model_view view = model_layer_view(spec, layer);
    struct blas_product shape = {.m = n, .n = view.out, .k = view.in};

    blas_sgemm(shape, in, params + view.weight, 0.0F, out);
    kernel_bias(out, params + view.bias, n, view.out);
    switch (spec->layers[layer].activation) {
    case MODEL_RELU:
        kernel_relu(out, n * view.out);
        break;
    case MODEL_TANH:
        kernel_tanh(out, n * view.out);
        break;
    case MODEL_SIGMOID:
        kernel_sigmoid(out, n * view.out);
        break;
    case MODEL_NONE:
    default:
        break;
    }
}

enum choir_err model_logits(const struct model_spec *spec, const float *params, const float *x,
                            size_t n, float *logits)
{
    size_t widest = 1, work_len, n_out = spec->layers[spec->n_layers - 1].units;
    float *work, *halves[2];

    for (size_t i = 0; i < spec->n_layers; i++)
        widest = spec->layers[i].units > widest ? spec->layers[i].units : widest;
    work_len = 2 * forward_rows * widest;
    work = calloc(work_len, sizeof *work);
    if (work == NULL)
        return CHOIR_ERR_MEMORY;
    halves[0] = work;
    halves[1] = work + forward_rows * widest;
    for (size_t begin = 0; begin < n; begin += forward_rows) {
        size_t rows = n - begin < forward_rows ? n - begin : forward_rows;
        const float *in = x + begin * spec->n_inputs;

        for (size_t l = 0; l < spec->n_layers; l++) {
            float *out = l + 1 == spec->n_layers ? logits + begin * n_out : halves[l % 2];

            model_layer_forward(spec, l, params, in, rows, out);
            in = out;
        }
    }
    rng_wipe(work, work_len * sizeof *work);
    free(work);
    return CHOIR_OK;
}
