/* safetensors - any bytes as a model file: refused, or finite parameters of the
 * right number. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "train/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { N_PARAMS = 3 * 2 + 2 + 2 + 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct model_spec model = {
        .n_inputs = 3, .n_layers = 2, .layers = {{2, MODEL_TANH}, {1, MODEL_NONE}}};
    float params[N_PARAMS];
    char text[64];

    if (safetensors_note(data, len, "plan_hash", text, sizeof text) == CHOIR_OK &&
        strnlen(text, sizeof text) == sizeof text)
        abort();
    if (safetensors_decode(data, len, &model, params) != CHOIR_OK)
        return 0;
    for (size_t i = 0; i < N_PARAMS; i++)
        if (!isfinite(params[i]))
            abort();
    return 0;
}
