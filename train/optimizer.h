/* optimizer - the local optimiser's step: SGD, momentum, Adam.
 *
 * Its state belongs to one trainer and is cleared at the beginning of each round: nothing of a
 * site's earlier rounds stays behind, and a restarted site computes what the others compute.
 */
#ifndef CHOIR_TRAIN_OPTIMIZER_H
#define CHOIR_TRAIN_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_MOMENTUM, OPTIMIZER_ADAM };

struct optimizer_spec {
    enum optimizer_kind kind;
    double learning_rate; // > 0
    double momentum;      // [0, 1): OPTIMIZER_MOMENTUM
    double beta1, beta2;  // [0, 1): OPTIMIZER_ADAM
    double epsilon;       // > 0: OPTIMIZER_ADAM
};

/* Public, plain data; first and second are [n], NULL where the kind has no use for them. */
struct optimizer {
    struct optimizer_spec spec;
    size_t n;
    uint64_t step;
    float *first, *second;
};

/* Fails with CHOIR_ERR_MEMORY. optimizer_release() may be called on a zeroed one. */
CHOIR_MUST_CHECK enum choir_err optimizer_init(struct optimizer *optimizer,
                                               const struct optimizer_spec *spec, size_t n);
void optimizer_release(struct optimizer *optimizer);
/* Forgets everything but the spec. */
void optimizer_clear(struct optimizer *optimizer);

/* One step: params [n] moves against grad [n].
 * SGD: p -= r g. Momentum: m = mu m + g, p -= r m. Adam: Kingma & Ba 2015, arXiv 1412.6980,
 * algorithm 1, with bias correction. */
void optimizer_step(struct optimizer *optimizer, float *params, const float *grad);

#endif
