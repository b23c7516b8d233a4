#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "train/kernel.h"

enum choir_err optimizer_init(struct optimizer *optimizer, const struct optimizer_spec *spec,
                              size_t n)
{
    *optimizer = (struct optimizer){.spec = *spec, .n = n};
    if (spec->kind != OPTIMIZER_SGD) {
        optimizer->first = pages_calloc(n, sizeof *optimizer->first);
        if (optimizer->first == NULL)
            return CHOIR_ERR_MEMORY;
    }
    if (spec->kind == OPTIMIZER_ADAM) {
        optimizer->second = pages_calloc(n, sizeof *optimizer->second);
        if (optimizer->second == NULL) {
            optimizer_release(optimizer);
            return CHOIR_ERR_MEMORY;
        }
    }
    return CHOIR_OK;
}

void optimizer_release(struct optimizer *optimizer)
{
    free(optimizer->first);
    free(optimizer->second);
    *optimizer = (struct optimizer){0};
}

void optimizer_clear(struct optimizer *optimizer)
{
    optimizer->step = 0;
    if (optimizer->first != NULL)
        memset(optimizer->first, 0, optimizer->n * sizeof *optimizer->first);
    if (optimizer->second != NULL)
        memset(optimizer->second, 0, optimizer->n * sizeof *optimizer->second);
}

static void momentum_step(struct optimizer *optimizer, float *params, const float *grad)
{
    float momentum = (float)optimizer->spec.momentum;

    for (size_t i = 0; i < optimizer->n; i++)
        optimizer->first[i] = momentum * optimizer->first[i] + grad[i];
    kernel_add_scaled(params, optimizer->first, -(float)optimizer->spec.learning_rate,
                      optimizer->n);
}

static void adam_step(struct optimizer *optimizer, float *params, const float *grad)
{
    const struct optimizer_spec *spec = &optimizer->spec;
    double t = (double)optimizer->step;
    float beta1 = (float)spec->beta1, beta2 = (float)spec->beta2;
    float keep1 = (float)(1.0 - spec->beta1), keep2 = (float)(1.0 - spec->beta2);
    float rate = (float)(spec->learning_rate / (1.0 - pow(spec->beta1, t)));
    float unbias = (float)(1.0 / (1.0 - pow(spec->beta2, t)));
    float epsilon = (float)spec->epsilon;

    for (size_t i = 0; i < optimizer->n; i++) {
        float m = beta1 * optimizer->first[i] + keep1 * grad[i];
        float v = beta2 * optimizer->second[i] + keep2 * grad[i] * grad[i];

        optimizer->first[i] = m;
        optimizer->second[i] = v;
        params[i] -= rate * m / (sqrtf(v * unbias) + epsilon);
    }
}

void optimizer_step(struct optimizer *optimizer, float *params, const float *grad)
{
    optimizer->step++;
    if (optimizer->spec.kind == OPTIMIZER_MOMENTUM)
        momentum_step(optimizer, params, grad);
    else if (optimizer->spec.kind == OPTIMIZER_ADAM)
        adam_step(optimizer, params, grad);
    else
        kernel_add_scaled(params, grad, -(float)optimizer->spec.learning_rate, optimizer->n);
}
