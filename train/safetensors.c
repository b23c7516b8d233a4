#include "train/safetensors.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_out.h"

enum {
    LENGTH_BYTES = 8,
    NAME_ROOM = 32,
    FILE_MODE = 0644,
    PIECE_FLOATS = 1 << 16,
    PIECE_BYTES = 4 * PIECE_FLOATS
};

// One tensor of the model: where it stands in the flat block, which is also its place in the
// file.
struct tensor {
    char name[NAME_ROOM];
    size_t n_dims, dims[2];
    size_t first, end; // in floats
};

static size_t n_tensors(const struct model_spec *model)
{
    return 2 * (size_t)model->n_layers;
}

static struct tensor tensor_at(const struct model_spec *model, size_t i)
{
    struct model_view view = model_layer_view(model, i / 2);
    struct tensor tensor = {
        .n_dims = 2, .dims = {view.in, view.out}, .first = view.weight, .end = view.bias};

    if (i % 2 == 1)
        tensor = (struct tensor){
            .n_dims = 1, .dims = {view.out, 1}, .first = view.bias, .end = view.bias + view.out};
    (void)snprintf(tensor.name, sizeof tensor.name, "layers.%zu.%s", i / 2,
                   i % 2 == 0 ? "weight" : "bias");
    return tensor;
}

static void put_tensor(struct json_out *out, const struct tensor *tensor)
{
    json_out_object(out, tensor->name);
    json_out_text(out, "dtype", "F32");
    json_out_array(out, "shape");
    for (size_t i = 0; i < tensor->n_dims; i++)
        json_out_u64(out, NULL, tensor->dims[i]);
    json_out_close(out);
    json_out_array(out, "data_offsets");
    json_out_u64(out, NULL, sizeof(float) * tensor->first);
    json_out_u64(out, NULL, sizeof(float) * tensor->end);
    json_out_close(out);
    json_out_close(out);
}

static bool notes_are_unique(const struct safetensors_note *notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(notes[i].key, notes[j].key) == 0)
                return false;
    return true;
}

static enum choir_err make_header(const struct model_spec *model,
                                  const struct safetensors_note *notes, size_t n_notes, char **text,
                                  size_t *len)
{
    struct json_out *out = NULL;
    enum choir_err err;

    if (n_notes > SAFETENSORS_MAX_METADATA || !notes_are_unique(notes, n_notes))
        return CHOIR_ERR_FORMAT;
    err = json_out_new(false, &out);
    if (err != CHOIR_OK)
        return err;
    json_out_object(out, NULL);
    json_out_object(out, "__metadata__");
    for (size_t i = 0; i < n_notes; i++)
        json_out_text(out, notes[i].key, notes[i].value);
    json_out_close(out);
    for (size_t i = 0; i < n_tensors(model); i++) {
        struct tensor tensor = tensor_at(model, i);

        put_tensor(out, &tensor);
    }
    json_out_close(out);
    err = json_out_end(out, text, len);
    json_out_free(out);
    return err;
}

// Everything before the tensors: *bytes is the caller's.
static enum choir_err make_begin(const struct model_spec *model,
                                 const struct safetensors_note *notes, size_t n_notes,
                                 uint8_t **bytes, size_t *len)
{
    char *header = NULL;
    size_t header_len = 0, padded;
    uint8_t *made, *at;
    enum choir_err err = make_header(model, notes, n_notes, &header, &header_len);

    if (err != CHOIR_OK)
        return err;
    while (header_len > 0 && header[header_len - 1] == '\n')
        header_len--;
    padded = (header_len + 7) / 8 * 8; // the tensors begin at a multiple of 8 bytes
    if (padded > SAFETENSORS_MAX_HEADER) {
        free(header);
        return CHOIR_ERR_FORMAT;
    }
    made = malloc(LENGTH_BYTES + padded);
    if (made == NULL) {
        free(header);
        return CHOIR_ERR_MEMORY;
    }
    at = put_bytes(put_u64(made, padded), header, header_len);
    memset(at, ' ', padded - header_len);
    free(header);
    *bytes = made;
    *len = LENGTH_BYTES + padded;
    return CHOIR_OK;
}

static void put_floats(uint8_t *to, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &values[i], sizeof bits);
        to = put_u32(to, bits);
    }
}

enum choir_err safetensors_encode(const struct model_spec *model, const float *params,
                                  const struct safetensors_note *notes, size_t n_notes,
                                  uint8_t **bytes, size_t *len)
{
    size_t begin_len = 0, n_params = model_n_params(model);
    uint8_t *begin = NULL, *made;
    enum choir_err err = make_begin(model, notes, n_notes, &begin, &begin_len);

    if (err != CHOIR_OK)
        return err;
    made = realloc(begin, begin_len + n_params * sizeof(float));
    if (made == NULL) {
        free(begin);
        return CHOIR_ERR_MEMORY;
    }
    put_floats(made + begin_len, params, n_params);
    *bytes = made;
    *len = begin_len + n_params * sizeof(float);
    return CHOIR_OK;
}

/* A file that is written piece by piece: no second copy of the model is made. */
struct writing {
    const uint8_t *begin;
    size_t begin_len;
    const float *params;
    size_t n_params;
};

static enum choir_err write_pieces(void *context, int fd)
{
    const struct writing *writing = context;
    enum choir_err err = file_write(fd, writing->begin, writing->begin_len);
    uint8_t *piece = malloc(PIECE_BYTES);

    if (piece == NULL)
        return CHOIR_ERR_MEMORY;
    for (size_t at = 0, n; err == CHOIR_OK && at < writing->n_params; at += n) {
        n = writing->n_params - at < PIECE_FLOATS ? writing->n_params - at : (size_t)PIECE_FLOATS;
        put_floats(piece, writing->params + at, n);
        err = file_write(fd, piece, n * sizeof(float));
    }
    free(piece);
    return err;
}

enum choir_err safetensors_write(int dir_fd, const char *name, const struct model_spec *model,
                                 const float *params, const struct safetensors_note *notes,
                                 size_t n_notes)
{
    struct writing writing = {.params = params, .n_params = model_n_params(model)};
    uint8_t *begin = NULL;
    enum choir_err err = make_begin(model, notes, n_notes, &begin, &writing.begin_len);

    if (err != CHOIR_OK)
        return err;
    writing.begin = begin;
    err = file_replace_by(dir_fd, name, FILE_MODE, write_pieces, &writing);
    free(begin);
    return err;
}

// The header as a document, and its length in bytes.
static enum choir_err read_header(const uint8_t *bytes, size_t len, struct json **out,
                                  size_t *header_len)
{
    uint64_t claimed;
    enum choir_err err;

    if (len < LENGTH_BYTES)
        return CHOIR_ERR_FORMAT;
    claimed = get_u64(bytes);
    if (claimed > SAFETENSORS_MAX_HEADER || claimed > len - LENGTH_BYTES || claimed < 2 ||
        bytes[LENGTH_BYTES] != '{')
        return CHOIR_ERR_FORMAT;
    err = json_parse(bytes + LENGTH_BYTES, (size_t)claimed, SAFETENSORS_MAX_HEADER, "header", out,
                     NULL);
    if (err == CHOIR_OK)
        *header_len = (size_t)claimed;
    return err;
}

// An array of exactly these whole numbers, all below 2^53.
static bool is_array_of(const struct json_node *node, const size_t *numbers, size_t n)
{
    if (node == NULL || json_kind(node) != JSON_ARRAY || json_count(node) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct json_node *element = json_at(node, i);
        double difference;

        if (json_kind(element) != JSON_NUMBER)
            return false;
        difference = json_number(element) - (double)numbers[i];
        if (difference < 0.0 || difference > 0.0)
            return false;
    }
    return true;
}

static bool is_tensor(const struct json_node *node, const struct tensor *tensor)
{
    const struct json_node *dtype;
    size_t offsets[2] = {sizeof(float) * tensor->first, sizeof(float) * tensor->end};

    if (node == NULL || json_kind(node) != JSON_OBJECT || json_count(node) != 3)
        return false;
    dtype = json_get(node, "dtype");
    return dtype != NULL && json_kind(dtype) == JSON_STRING &&
           strcmp(json_text(dtype), "F32") == 0 &&
           is_array_of(json_get(node, "shape"), tensor->dims, tensor->n_dims) &&
           is_array_of(json_get(node, "data_offsets"), offsets, 2);
}

// NULL where there is none or it is not an object of texts.
static const struct json_node *metadata_of(const struct json_node *root)
{
    const struct json_node *notes = json_get(root, "__metadata__");

    if (notes == NULL || json_kind(notes) != JSON_OBJECT ||
        json_count(notes) > SAFETENSORS_MAX_METADATA)
        return NULL;
    for (size_t i = 0; i < json_count(notes); i++)
        if (json_kind(json_at(notes, i)) != JSON_STRING)
            return NULL;
    return notes;
}

static bool header_is_of(const struct json_node *root, const struct model_spec *model)
{
    size_t extra = json_get(root, "__metadata__") != NULL ? 1 : 0;

    if (json_kind(root) != JSON_OBJECT || json_count(root) != n_tensors(model) + extra)
        return false;
    if (extra > 0 && metadata_of(root) == NULL)
        return false;
    for (size_t i = 0; i < n_tensors(model); i++) {
        struct tensor tensor = tensor_at(model, i);

        if (!is_tensor(json_get(root, tensor.name), &tensor))
            return false;
    }
    return true;
}

static float get_float(const uint8_t *at)
{
    uint32_t bits = get_u32(at);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

enum choir_err safetensors_decode(const uint8_t *bytes, size_t len, const struct model_spec *model,
                                  float *params)
{
    struct json *header = NULL;
    size_t header_len = 0, n_params = model_n_params(model);
    enum choir_err err = read_header(bytes, len, &header, &header_len);
    const uint8_t *values;

    if (err != CHOIR_OK)
        return err;
    if (len - LENGTH_BYTES - header_len != n_params * sizeof(float) ||
        !header_is_of(json_root(header), model))
        err = CHOIR_ERR_FORMAT;
    json_free(header);
    values = bytes + LENGTH_BYTES + header_len;
    for (size_t i = 0; err == CHOIR_OK && i < n_params; i++)
        if (!isfinite(get_float(values + i * sizeof(float))))
            err = CHOIR_ERR_FORMAT;
    for (size_t i = 0; err == CHOIR_OK && i < n_params; i++)
        params[i] = get_float(values + i * sizeof(float));
    return err;
}

enum choir_err safetensors_note(const uint8_t *bytes, size_t len, const char *key, char *to,
                                size_t max)
{
    struct json *header = NULL;
    size_t header_len = 0;
    enum choir_err err = read_header(bytes, len, &header, &header_len);
    const struct json_node *notes, *note;

    if (err != CHOIR_OK)
        return err;
    err = CHOIR_ERR_FORMAT;
    notes = metadata_of(json_root(header));
    note = notes != NULL ? json_get(notes, key) : NULL;
    if (notes != NULL && note == NULL)
        err = CHOIR_ERR_MISSING;
    if (note != NULL && strlen(json_text(note)) < max) {
        memcpy(to, json_text(note), strlen(json_text(note)) + 1);
        err = CHOIR_OK;
    }
    json_free(header);
    return err;
}
