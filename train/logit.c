#include "train/logit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/rng.h"
#include "privacy/noise.h"
#include "train/kernel.h"

struct logit {
    const struct dataset *dataset;
    const struct mechanism *mechanism;
    float *lengths; // [n]: L2 norm of (record, 1)
    float *block;   // [d + 1]: float sum of one block
    float scores[NOISE_MICRO_BATCH], errors[NOISE_MICRO_BATCH];
};

enum choir_err logit_new(const struct dataset *dataset, const struct mechanism *mechanism,
                         struct logit **out)
{
    struct logit *logit = calloc(1, sizeof *logit);

    if (logit == NULL)
        return CHOIR_ERR_MEMORY;
    logit->dataset = dataset;
    logit->mechanism = mechanism;
    logit->lengths = calloc(dataset->n, sizeof *logit->lengths);
    logit->block = calloc(dataset->d + 1, sizeof *logit->block);
    if (logit->lengths == NULL || logit->block == NULL) {
        logit_free(logit);
        return CHOIR_ERR_MEMORY;
    }
    for (size_t i = 0; i < dataset->n; i++) {
        float squares = kernel_sum_squares(dataset->x + i * dataset->d, dataset->d);

        logit->lengths[i] = sqrtf(squares + 1.0F);
    }
    *out = logit;
    return CHOIR_OK;
}

void logit_free(struct logit *logit)
{
    if (logit == NULL)
        return;
    if (logit->lengths != NULL)
        rng_wipe(logit->lengths, logit->dataset->n * sizeof *logit->lengths);
    if (logit->block != NULL)
        rng_wipe(logit->block, (logit->dataset->d + 1) * sizeof *logit->block);
    free(logit->lengths);
    free(logit->block);
    free(logit);
}

// Adds one record's gradient, error * (record, 1), clipped; true if clipping shortened it.
static bool add_record(struct logit *logit, size_t row, float score, float error)
{
    size_t d = logit->dataset->d;
    double norm = isfinite(score) ? (double)(fabsf(error) * logit->lengths[row]) : (double)NAN;
    double factor = mechanism_clip_factor(logit->mechanism, norm);

    if (factor > 0.0) {
        float scaled = error * (float)factor;

        kernel_add_scaled(logit->block, logit->dataset->x + row * d, scaled, d);
        logit->block[d] += scaled;
    }
    return factor < 1.0;
}

static size_t add_block(struct logit *logit, const float *params, const uint32_t *chosen, size_t n,
                        double *sum)
{
    size_t d = logit->dataset->d, n_clipped = 0;

    memset(logit->block, 0, (d + 1) * sizeof *logit->block);
    for (size_t i = 0; i < n; i++)
        logit->scores[i] = kernel_dot(logit->dataset->x + chosen[i] * d, params, d) + params[d];
    // All places, whatever n: where a loop ends must not change how a score is rounded.
    memcpy(logit->errors, logit->scores, sizeof logit->errors);
    kernel_sigmoid(logit->errors, NOISE_MICRO_BATCH);
    for (size_t i = 0; i < n; i++) {
        float error = logit->errors[i] - logit->dataset->y[chosen[i]];

        n_clipped += add_record(logit, chosen[i], logit->scores[i], error) ? 1 : 0;
    }
    kernel_accumulate(sum, logit->block, d + 1);
    return n_clipped;
}

size_t logit_add_gradients(struct logit *logit, const float *params, const uint32_t *chosen,
                           size_t n_chosen, double *sum)
{
    size_t n_clipped = 0;

    for (size_t begin = 0; begin < n_chosen; begin += NOISE_MICRO_BATCH) {
        size_t left = n_chosen - begin;

        n_clipped += add_block(logit, params, chosen + begin,
                               left < NOISE_MICRO_BATCH ? left : NOISE_MICRO_BATCH, sum);
    }
    return n_clipped;
}
