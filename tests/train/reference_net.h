/* reference_net - test help: a dense model worked out record by record in double precision,
 * from the definitions alone and slowly; gradients by finite differences. */
#ifndef CHOIR_TESTS_TRAIN_REFERENCE_NET_H
#define CHOIR_TESTS_TRAIN_REFERENCE_NET_H

#include <assert.h>
#include <math.h>
#include <string.h>

#include "train/model.h"

enum { REFERENCE_MAX = 256 }; // units of a layer, and parameters of a model

static inline double reference_activation(enum model_activation activation, double z)
{
    switch (activation) {
    case MODEL_RELU:
        return z > 0.0 ? z : 0.0;
    case MODEL_TANH:
        return tanh(z);
    case MODEL_SIGMOID:
        return 1.0 / (1.0 + exp(-z));
    case MODEL_NONE:
    default:
        return z;
    }
}

static inline double reference_loss(const struct model_spec *spec, const double *params,
                                    const float *x, float label)
{
    double in[REFERENCE_MAX] = {0}, out[REFERENCE_MAX] = {0}, sum = 0.0;
    size_t width = spec->n_inputs;

    for (size_t i = 0; i < width; i++)
        in[i] = (double)x[i];
    for (size_t l = 0; l < spec->n_layers; l++) {
        size_t units = spec->layers[l].units;

        assert(units <= REFERENCE_MAX && width <= REFERENCE_MAX);
        for (size_t j = 0; j < units; j++) {
            out[j] = params[width * units + j];
            for (size_t i = 0; i < width; i++)
                out[j] += in[i] * params[i * units + j];
            out[j] = reference_activation(spec->layers[l].activation, out[j]);
        }
        params += (width + 1) * units;
        width = units;
        memcpy(in, out, width * sizeof *in);
    }
    if (spec->loss == MODEL_LOGISTIC)
        return log(1.0 + exp(label > 0.5F ? -in[0] : in[0]));
    for (size_t j = 0; j < width; j++)
        sum += exp(in[j]);
    return log(sum) - in[(size_t)label];
}

/* One record's gradient by central differences: error about 1e-9. */
static inline void reference_grad(const struct model_spec *spec, const float *params,
                                  const float *x, float label, double *grad)
{
    double moved[REFERENCE_MAX] = {0};
    size_t n = model_n_params(spec);
    const double h = 1e-5;

    assert(n <= REFERENCE_MAX);
    for (size_t i = 0; i < n; i++)
        moved[i] = (double)params[i];
    for (size_t i = 0; i < n; i++) {
        double above, below;

        moved[i] = (double)params[i] + h;
        above = reference_loss(spec, moved, x, label);
        moved[i] = (double)params[i] - h;
        below = reference_loss(spec, moved, x, label);
        moved[i] = (double)params[i];
        grad[i] = (above - below) / (2.0 * h);
    }
}

static inline double reference_norm(const double *grad, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += grad[i] * grad[i];
    return sqrt(sum);
}

#endif
