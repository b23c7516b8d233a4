/* model - a stack of dense layers over one flat block of float parameters.
 *
 * Layer l holds its weights [in x out], row-major, then its bias [out]; layers follow one
 * another without gaps, so that the optimiser, the noise, the transport and the checkpoint are
 * loops over one array. Logistic regression is one layer of one unit.
 */
#ifndef CHOIR_TRAIN_MODEL_H
#define CHOIR_TRAIN_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    MODEL_MAX_LAYERS = 16,
    MODEL_MAX_UNITS = 65536,
    MODEL_MAX_PARAMS = 1 << 30,
};

enum model_activation { MODEL_NONE, MODEL_RELU, MODEL_TANH, MODEL_SIGMOID };

/* Logistic: one output unit, binary cross-entropy on its logit. Softmax: k >= 2 output units,
 * cross-entropy on k logits; labels are class indices. The last layer's activation is
 * MODEL_NONE in both. */
enum model_loss { MODEL_LOGISTIC, MODEL_SOFTMAX };

struct model_layer {
    uint32_t units; // outputs of this layer, 1..MODEL_MAX_UNITS
    enum model_activation activation;
};

struct model_spec {
    uint32_t n_inputs; // features of one record
    uint32_t n_layers; // 1..MODEL_MAX_LAYERS
    struct model_layer layers[MODEL_MAX_LAYERS];
    enum model_loss loss;
    uint64_t init_seed; // public
};

/* Where layer `l` stands in the flat block. */
struct model_view {
    size_t weight, bias; // offsets in floats
    size_t in, out;      // weight is [in x out]
};

/* Fails with CHOIR_ERR_FORMAT when a count is out of range, the last layer does not fit the
 * loss, or there are more than MODEL_MAX_PARAMS parameters; diag (may be NULL) says which. */
CHOIR_MUST_CHECK enum choir_err model_check(const struct model_spec *spec, struct choir_diag *diag);

/* Of a spec that passed model_check(). */
size_t model_n_params(const struct model_spec *spec);
struct model_view model_layer_view(const struct model_spec *spec, size_t layer);

/* Fills params [model_n_params]: zeros for a single layer; else weights uniform in +-limit with
 * limit sqrt(6 / in) before ReLU (He et al. 2015, arXiv 1502.01852) and sqrt(6 / (in + out))
 * otherwise (Glorot & Bengio, AISTATS 2010), zero biases. The same bits on every machine.
 * Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err model_init(const struct model_spec *spec, float *params);

/* Forward pass over x [n x n_inputs]: logits [n x outputs of the last layer], row-major.
 * Fails with CHOIR_ERR_MEMORY (its workspace is bounded, whatever n). */
CHOIR_MUST_CHECK enum choir_err model_logits(const struct model_spec *spec, const float *params,
                                             const float *x, size_t n, float *logits);

/* One layer over n rows: out [n x units] = activation(in W + b). Takes no memory. */
void model_layer_forward(const struct model_spec *spec, size_t layer, const float *params,
                         const float *in, size_t n, float *out);

#endif
