/* json - strict reading of JSON (RFC 8259) that people and programs of others wrote.
 *
 * The text is checked by a scanner of our own before cJSON sees it: valid UTF-8, the exact
 * grammar, nesting up to JSON_MAX_DEPTH, at most JSON_MAX_MEMBERS keys in an object, no key
 * twice, nothing after the value. A number must be finite, must not vanish to zero, and a whole
 * number must be one that a double holds exactly (up to 2^53). A string holds no zero byte.
 * Every value knows its line and its path of keys, so that a message can point at it.
 *
 * A document is not changed after parsing: any number of threads may read it.
 * For writing see json_out.h.
 */
#ifndef CHOIR_BASE_JSON_H
#define CHOIR_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { JSON_MAX_DEPTH = 32, JSON_MAX_MEMBERS = 1024 };

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json;      // a document; owns all of its values
struct json_node; // one value of a document

/* Parses text[0..len), which need not end in a zero byte. `source` is the name that messages
 * give ("plan.json"). On CHOIR_OK *out is the caller's, to be freed with json_free().
 * Fails with CHOIR_ERR_FORMAT (diag says line and reason; also when len > max) or
 * CHOIR_ERR_MEMORY. diag may be NULL here and below. */
CHOIR_MUST_CHECK enum choir_err json_parse(const void *text, size_t len, size_t max,
                                           const char *source, struct json **out,
                                           struct choir_diag *diag);

/* The same from a file; also fails with CHOIR_ERR_MISSING or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err json_read_file(const char *path, size_t max, struct json **out,
                                               struct choir_diag *diag);

/* Frees the document and all of its nodes; NULL is allowed. */
void json_free(struct json *json);

const struct json_node *json_root(const struct json *json);

enum json_kind json_kind(const struct json_node *node);
/* "a number", "an object", ...: for messages. */
const char *json_kind_text(enum json_kind kind);
/* The key under which the value stands in its object, or NULL in an array and at the root. */
const char *json_key(const struct json_node *node);
/* The line the value begins on, from 1. */
unsigned json_line(const struct json_node *node);
/* Elements of an array or members of an object; 0 for everything else. */
size_t json_count(const struct json_node *node);
/* The element or member number i < json_count(node), in the order of the text. */
const struct json_node *json_at(const struct json_node *node, size_t i);
/* The member `key` of an object, or NULL if there is none or `node` is no object. */
const struct json_node *json_get(const struct json_node *node, const char *key);

/* Values; the node must be of that kind. Text is UTF-8 and lives as long as the document. */
bool json_bool(const struct json_node *node);
double json_number(const struct json_node *node);
const char *json_text(const struct json_node *node);

/* Writes "FILE:LINE: training.optimizer.learning_rate" (the root has no path), shortened at
 * the end if `max` is too small. */
void json_place(const struct json_node *node, char *place, size_t max);

/* diag_set() with the place of `node`; returns `err`. */
enum choir_err json_fail(const struct json_node *node, struct choir_diag *diag, enum choir_err err,
                         const char *format, ...) CHOIR_PRINTF(4, 5);

/* The member `key` of the object `node`, of the right kind and, for numbers, in [min, max].
 * Fails with CHOIR_ERR_MISSING if there is none, CHOIR_ERR_FORMAT if `node` is no object or
 * the value is not allowed; diag says what is. For an optional member ask json_get() first. */
CHOIR_MUST_CHECK enum choir_err json_get_text(const struct json_node *node, const char *key,
                                              const char **out, struct choir_diag *diag);
CHOIR_MUST_CHECK enum choir_err json_get_number(const struct json_node *node, const char *key,
                                                double min, double max, double *out,
                                                struct choir_diag *diag);
CHOIR_MUST_CHECK enum choir_err json_get_u64(const struct json_node *node, const char *key,
                                             uint64_t min, uint64_t max, uint64_t *out,
                                             struct choir_diag *diag);
CHOIR_MUST_CHECK enum choir_err json_get_bool(const struct json_node *node, const char *key,
                                              bool *out, struct choir_diag *diag);
/* An array (JSON_ARRAY) or object (JSON_OBJECT). */
CHOIR_MUST_CHECK enum choir_err json_get_node(const struct json_node *node, const char *key,
                                              enum json_kind kind, const struct json_node **out,
                                              struct choir_diag *diag);

/* The deepest value that the key path "data.columns[3].min" leads to from `root`: the value
 * itself, or the last one on the way that exists. */
const struct json_node *json_find(const struct json_node *root, const char *path);

#endif
