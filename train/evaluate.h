/* evaluate - how good a model is on labelled records: loss, accuracy, AUC, KS.
 *
 * For a site on its own records and for a demo's own table; these numbers come from records
 * and are not for sending (design.md, invariant 10).
 */
#ifndef CHOIR_TRAIN_EVALUATE_H
#define CHOIR_TRAIN_EVALUATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "train/dataset.h"
#include "train/model.h"

struct evaluation {
    size_t n, n_positive;
    double loss;     // mean log loss, nats
    double accuracy; // at probability 0.5 (softmax: of the largest logit)
    bool has_ranks;  // both classes are there and the loss is logistic; else auc and ks are NaN
    double auc;      // area under the ROC curve; a tie counts one half
    double ks;       // Kolmogorov-Smirnov: largest gap of the two score distributions
};

/* Forward pass over the whole data set. Fails with CHOIR_ERR_FORMAT if the data is empty or does
 * not fit the model, or a logit is not finite; CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err evaluate_model(const struct model_spec *model, const float *params,
                                               const struct dataset *dataset,
                                               struct evaluation *out);

/* The same from scores (logits) [n] and 0/1 labels [n]. */
CHOIR_MUST_CHECK enum choir_err evaluate_scores(const float *logits, const float *labels, size_t n,
                                                struct evaluation *out);

#endif
