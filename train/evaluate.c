#include "train/evaluate.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "crypto/rng.h"
#include "train/pass.h"

struct scored {
    float score;
    bool positive;
};

static int by_score(const void *a, const void *b)
{
    float left = ((const struct scored *)a)->score, right = ((const struct scored *)b)->score;

    return (left > right) - (left < right);
}

// AUC as the chance that a positive scores above a negative, and KS, in one walk over the
// records by ascending score; records of equal score are taken together.
static void rank(const struct scored *sorted, struct evaluation *out)
{
    double n_positive = (double)out->n_positive, n_negative = (double)(out->n - out->n_positive);
    double positives = 0.0, negatives = 0.0, wins = 0.0, gap = 0.0;

    for (size_t begin = 0, end; begin < out->n; begin = end) {
        double tied_positives = 0.0, tied_negatives = 0.0, here;

        for (end = begin; end < out->n && by_score(&sorted[begin], &sorted[end]) == 0; end++)
            *(sorted[end].positive ? &tied_positives : &tied_negatives) += 1.0;
        wins += tied_positives * (negatives + tied_negatives / 2.0);
        positives += tied_positives;
        negatives += tied_negatives;
        here = fabs(positives / n_positive - negatives / n_negative);
        gap = here > gap ? here : gap;
    }
    out->has_ranks = true;
    out->auc = wins / (n_positive * n_negative);
    out->ks = gap;
}

enum choir_err evaluate_scores(const float *logits, const float *labels, size_t n,
                               struct evaluation *out)
{
    static const struct model_spec one_logit = {.n_layers = 1, .layers = {{.units = 1}}};
    struct evaluation found = {.n = n, .auc = (double)NAN, .ks = (double)NAN};
    struct scored *sorted;
    size_t n_right = 0;

    if (n == 0)
        return CHOIR_ERR_FORMAT;
    sorted = calloc(n, sizeof *sorted);
    if (sorted == NULL)
        return CHOIR_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        bool positive = labels[i] > 0.5F;

        if (!isfinite(logits[i])) {
            free(sorted);
            return CHOIR_ERR_FORMAT;
        }
        sorted[i] = (struct scored){logits[i], positive};
        found.n_positive += positive ? 1 : 0;
        found.loss += pass_loss(&one_logit, &logits[i], labels[i]);
        n_right += (logits[i] >= 0.0F) == positive ? 1 : 0;
    }
    found.loss /= (double)n;
    found.accuracy = (double)n_right / (double)n;
    if (found.n_positive > 0 && found.n_positive < n) {
        qsort(sorted, n, sizeof *sorted, by_score);
        rank(sorted, &found);
    }
    rng_wipe(sorted, n * sizeof *sorted);
    free(sorted);
    *out = found;
    return CHOIR_OK;
}

static enum choir_err evaluate_classes(const struct model_spec *model, const float *logits,
                                       const struct dataset *dataset, struct evaluation *out)
{
    size_t k = model->layers[model->n_layers - 1].units, n_right = 0;
    struct evaluation found = {.n = dataset->n, .auc = (double)NAN, .ks = (double)NAN};

    for (size_t i = 0; i < dataset->n; i++) {
        const float *row = logits + i * k;
        size_t best = 0;

        if (!(dataset->y[i] >= 0.0F && dataset->y[i] < (float)k))
            return CHOIR_ERR_FORMAT;
        for (size_t j = 0; j < k; j++) {
            if (!isfinite(row[j]))
                return CHOIR_ERR_FORMAT;
            best = row[j] > row[best] ? j : best;
        }
        found.loss += pass_loss(model, row, dataset->y[i]);
        found.n_positive += dataset->y[i] > 0.5F ? 1 : 0;
        n_right += best == (size_t)dataset->y[i] ? 1 : 0;
    }
    found.loss /= (double)dataset->n;
    found.accuracy = (double)n_right / (double)dataset->n;
    *out = found;
    return CHOIR_OK;
}

enum choir_err evaluate_model(const struct model_spec *model, const float *params,
                              const struct dataset *dataset, struct evaluation *out)
{
    size_t k = model->layers[model->n_layers - 1].units;
    float *logits;
    enum choir_err err;

    if (dataset->n == 0 || dataset->d != model->n_inputs)
        return CHOIR_ERR_FORMAT;
    logits = calloc(dataset->n, k * sizeof *logits);
    if (logits == NULL)
        return CHOIR_ERR_MEMORY;
    err = model_logits(model, params, dataset->x, dataset->n, logits);
    if (err == CHOIR_OK)
        err = model->loss == MODEL_LOGISTIC ? evaluate_scores(logits, dataset->y, dataset->n, out)
                                            : evaluate_classes(model, logits, dataset, out);
    rng_wipe(logits, dataset->n * k * sizeof *logits);
    free(logits);
    return err;
}
