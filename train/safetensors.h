/* safetensors - a model as a file that any safetensors reader opens.
 *
 * Format: u64 little-endian length of a JSON header, the header, then the tensors' bytes
 * (https://github.com/huggingface/safetensors, "Format"). Written here: F32 tensors
 * "layers.N.weight" [in, out] and "layers.N.bias" [out] in the order of the flat block, and
 * text pairs under "__metadata__". Read strictly: exactly those tensors, no gaps, bounded.
 */
#ifndef CHOIR_TRAIN_SAFETENSORS_H
#define CHOIR_TRAIN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "train/model.h"

enum {
    SAFETENSORS_MAX_HEADER = 64 << 10,
    SAFETENSORS_MAX_METADATA = 64, // pairs
};

/* One pair of "__metadata__"; both zero-terminated UTF-8. */
struct safetensors_note {
    const char *key, *value;
};

/* The whole file in memory. On CHOIR_OK *bytes is the caller's (free).
 * Fails with CHOIR_ERR_FORMAT (too many or too long notes) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err safetensors_encode(const struct model_spec *model,
                                                   const float *params,
                                                   const struct safetensors_note *notes,
                                                   size_t n_notes, uint8_t **bytes, size_t *len);

/* The same, replaced atomically as `name` in the folder dir_fd (base/file.h), mode 0644. */
CHOIR_MUST_CHECK enum choir_err safetensors_write(int dir_fd, const char *name,
                                                  const struct model_spec *model,
                                                  const float *params,
                                                  const struct safetensors_note *notes,
                                                  size_t n_notes);

/* Reads the parameters of `model` into params [model_n_params]: shapes and names must be the
 * model's, every value finite. Fails with CHOIR_ERR_FORMAT; params is then untouched. */
CHOIR_MUST_CHECK enum choir_err safetensors_decode(const uint8_t *bytes, size_t len,
                                                   const struct model_spec *model, float *params);

/* The text under `key` in "__metadata__" into to[0..max), zero-terminated. Fails with
 * CHOIR_ERR_FORMAT, or CHOIR_ERR_MISSING if there is no such key. */
CHOIR_MUST_CHECK enum choir_err safetensors_note(const uint8_t *bytes, size_t len, const char *key,
                                                 char *to, size_t max);

#endif
