#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/json_scan.h"

struct json_node {
    const struct json *json;
    const struct json_node *parent; // NULL for the root
    const cJSON *value;
    const struct json_node **members; // [n_members], into json->members
    size_t n_members;
    size_t index; // among the parent's members
    unsigned line;
};

struct json {
    char *source;
    cJSON *tree;
    struct json_node *nodes; // [n_nodes], in the order in which values begin
    const struct json_node **members;
    size_t n_nodes;
};

struct builder {
    struct json *json;
    const unsigned *lines;
    size_t n_built;
    size_t n_members;
    struct choir_diag *diag;
};

enum json_kind json_kind(const struct json_node *node)
{
    if (cJSON_IsObject(node->value))
        return JSON_OBJECT;
    if (cJSON_IsArray(node->value))
        return JSON_ARRAY;
    if (cJSON_IsString(node->value))
        return JSON_STRING;
    if (cJSON_IsNumber(node->value))
        return JSON_NUMBER;
    return cJSON_IsBool(node->value) ? JSON_BOOL : JSON_NULL;
}

const char *json_kind_text(enum json_kind kind)
{
    static const char *const texts[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",     [JSON_OBJECT] = "an object",
    };

    return texts[kind];
}

const char *json_key(const struct json_node *node)
{
    return node->value->string;
}

unsigned json_line(const struct json_node *node)
{
    return node->line;
}

size_t json_count(const struct json_node *node)
{
    return node->n_members;
}

const struct json_node *json_at(const struct json_node *node, size_t i)
{
    return node->members[i];
}

const struct json_node *json_get(const struct json_node *node, const char *key)
{
    if (!cJSON_IsObject(node->value))
        return NULL;
    for (size_t i = 0; i < node->n_members; i++)
        if (strcmp(json_key(node->members[i]), key) == 0)
            return node->members[i];
    return NULL;
}

bool json_bool(const struct json_node *node)
{
    return cJSON_IsTrue(node->value) != 0;
}

double json_number(const struct json_node *node)
{
    return node->value->valuedouble;
}

const char *json_text(const struct json_node *node)
{
    return node->value->valuestring;
}

// Appends to text[0..max) at *len, which may run past max as snprintf() counts.
static void append(char *text, size_t max, size_t *len, const char *format, ...) CHOIR_PRINTF(4, 5);
static void append(char *text, size_t max, size_t *len, const char *format, ...)
{
    size_t from = *len < max ? *len : max - 1;
    va_list args;
    int wrote;

    va_start(args, format);
    wrote = vsnprintf(text + from, max - from, format, args);
    va_end(args);
    if (wrote > 0)
        *len = from + (size_t)wrote;
}

void json_place(const struct json_node *node, char *place, size_t max)
{
    const struct json_node *chain[JSON_MAX_DEPTH + 1];
    const char *between = " ";
    size_t depth = 0, len = 0;

    for (const struct json_node *at = node; at->parent != NULL; at = at->parent)
        chain[depth++] = at;
    append(place, max, &len, "%s:%u:", node->json->source, node->line);
    while (depth-- > 0) {
        if (json_key(chain[depth]) == NULL)
            append(place, max, &len, "%s[%zu]", between[0] == ' ' ? between : "",
                   chain[depth]->index);
        else
            append(place, max, &len, "%s%s", between, json_key(chain[depth]));
        between = ".";
    }
}

enum choir_err json_fail(const struct json_node *node, struct choir_diag *diag, enum choir_err err,
                         const char *format, ...)
{
    va_list args;

    if (diag == NULL)
        return err;
    json_place(node, diag->place, sizeof diag->place);
    va_start(args, format);
    vsnprintf(diag->message, sizeof diag->message, format, args);
    va_end(args);
    return err;
}

static enum choir_err check_key(const struct json_node *node, struct choir_diag *diag)
{
    const struct json_node *object = node->parent;

    for (size_t i = 0; i < node->index; i++)
        if (strcmp(json_key(object->members[i]), json_key(node)) == 0)
            return json_fail(node, diag, CHOIR_ERR_FORMAT,
                             "the key stands twice in this object, first in line %u",
                             object->members[i]->line);
    return CHOIR_OK;
}

static enum choir_err build(struct builder *b, const cJSON *value, const struct json_node *parent,
                            size_t index);

// Gives the container its members; they are numbered as the scanner numbered them.
// NOLINTNEXTLINE(misc-no-recursion): the scanner bounded the depth
static enum choir_err build_members(struct builder *b, struct json_node *node)
{
    const cJSON *value = node->value->child;
    enum choir_err err = CHOIR_OK;
    size_t n = 0;

    for (const cJSON *at = value; at != NULL; at = at->next)
        n++;
    if (cJSON_IsObject(node->value) && n > JSON_MAX_MEMBERS)
        return json_fail(node, b->diag, CHOIR_ERR_FORMAT, "an object has more than %d keys",
                         JSON_MAX_MEMBERS);
    node->members = b->json->members + b->n_members;
    b->n_members += n;
    for (; err == CHOIR_OK && value != NULL; value = value->next) {
        node->members[node->n_members] = b->json->nodes + b->n_built;
        err = build(b, value, node, node->n_members);
        node->n_members++;
    }
    return err;
}

// NOLINTNEXTLINE(misc-no-recursion): the scanner bounded the depth
static enum choir_err build(struct builder *b, const cJSON *value, const struct json_node *parent,
                            size_t index)
{
    struct json_node *node;

    // Scanner and parser disagree about the number of values: not a text to be trusted.
    if (b->n_built == b->json->n_nodes)
        return CHOIR_ERR_FORMAT;
    node = b->json->nodes + b->n_built;
    *node = (struct json_node){.json = b->json,
                               .parent = parent,
                               .value = value,
                               .index = index,
                               .line = b->lines[b->n_built]};
    b->n_built++;
    if (value->string != NULL) {
        enum choir_err err = check_key(node, b->diag);

        if (err != CHOIR_OK)
            return err;
    }
    return build_members(b, node);
}

void json_free(struct json *json)
{
    if (json == NULL)
        return;
    cJSON_Delete(json->tree);
    free(json->source);
    free(json->nodes);
    free(json->members);
    free(json);
}

const struct json_node *json_root(const struct json *json)
{
    return json->nodes;
}

static enum choir_err check_text(const uint8_t *text, size_t len, size_t max, const char *source,
                                 struct json_scan *scan, struct choir_diag *diag)
{
    enum choir_err err;

    if (len > max)
        return diag_set(diag, CHOIR_ERR_FORMAT, source, "%zu bytes; at most %zu are read", len,
                        max);
    err = json_scan(text, len, scan);
    if (err == CHOIR_ERR_FORMAT) {
        char place[sizeof diag->place];

        snprintf(place, sizeof place, "%s:%u:", source, scan->line);
        diag_set(diag, err, place, "%s", scan->reason);
    }
    return err;
}

enum choir_err json_parse(const void *text, size_t len, size_t max, const char *source,
                          struct json **out, struct choir_diag *diag)
{
    struct json_scan scan = {0};
    struct builder b = {.diag = diag};
    struct json *json = NULL;
    enum choir_err err = check_text(text, len, max, source, &scan, diag);

    if (err != CHOIR_OK)
        goto out;
    assert(scan.n_values > 0); // a text that passed holds a value
    err = CHOIR_ERR_MEMORY;
    json = calloc(1, sizeof *json);
    if (json == NULL)
        goto out;
    json->n_nodes = scan.n_values;
    json->source = strdup(source);
    json->nodes = calloc(json->n_nodes, sizeof *json->nodes);
    json->members = calloc(json->n_nodes, sizeof(void *));
    json->tree = cJSON_ParseWithLength(text, len);
    if (json->source == NULL || json->nodes == NULL || json->members == NULL || json->tree == NULL)
        goto out;
    b.json = json;
    b.lines = scan.lines;
    err = build(&b, json->tree, NULL, 0);
    if (err == CHOIR_OK && b.n_built != json->n_nodes)
        err = diag_set(diag, CHOIR_ERR_FORMAT, source, "the text can be read in two ways");
    if (err != CHOIR_OK)
        goto out;
    *out = json;
    json = NULL; // now the caller's
out:
    free(scan.lines);
    json_free(json);
    return err;
}

enum choir_err json_read_file(const char *path, size_t max, struct json **out,
                              struct choir_diag *diag)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err = file_read(path, max, &bytes, &len);

    if (err == CHOIR_ERR_FORMAT)
        return diag_set(diag, err, path, "the file holds more than %zu bytes", max);
    if (err == CHOIR_ERR_MISSING || err == CHOIR_ERR_IO)
        return diag_set(diag, err, path, "cannot be read: %s", strerrordesc_np(errno));
    if (err != CHOIR_OK)
        return err;
    err = json_parse(bytes, len, max, path, out, diag);
    free(bytes);
    return err;
}

// The member, or NULL with the reason in *err.
static const struct json_node *get(const struct json_node *node, const char *key,
                                   enum json_kind kind, enum choir_err *err,
                                   struct choir_diag *diag)
{
    const struct json_node *member = json_get(node, key);

    if (json_kind(node) != JSON_OBJECT)
        *err = json_fail(node, diag, CHOIR_ERR_FORMAT, "must be an object; it is %s",
                         json_kind_text(json_kind(node)));
    else if (member == NULL)
        *err = json_fail(node, diag, CHOIR_ERR_MISSING, "the key \"%s\" is missing", key);
    else if (json_kind(member) != kind)
        *err = json_fail(member, diag, CHOIR_ERR_FORMAT, "must be %s; it is %s",
                         json_kind_text(kind), json_kind_text(json_kind(member)));
    else
        return member;
    return NULL;
}

enum choir_err json_get_node(const struct json_node *node, const char *key, enum json_kind kind,
                             const struct json_node **out, struct choir_diag *diag)
{
    enum choir_err err = CHOIR_OK;
    const struct json_node *member = get(node, key, kind, &err, diag);

    if (member == NULL)
        return err;
    *out = member;
    return CHOIR_OK;
}

enum choir_err json_get_text(const struct json_node *node, const char *key, const char **out,
                             struct choir_diag *diag)
{
    enum choir_err err = CHOIR_OK;
    const struct json_node *member = get(node, key, JSON_STRING, &err, diag);

    if (member == NULL)
        return err;
    *out = json_text(member);
    return CHOIR_OK;
}

enum choir_err json_get_bool(const struct json_node *node, const char *key, bool *out,
                             struct choir_diag *diag)
{
    enum choir_err err = CHOIR_OK;
    const struct json_node *member = get(node, key, JSON_BOOL, &err, diag);

    if (member == NULL)
        return err;
    *out = json_bool(member);
    return CHOIR_OK;
}

enum choir_err json_get_number(const struct json_node *node, const char *key, double min,
                               double max, double *out, struct choir_diag *diag)
{
    enum choir_err err = CHOIR_OK;
    const struct json_node *member = get(node, key, JSON_NUMBER, &err, diag);

    if (member == NULL)
        return err;
    if (json_number(member) < min || json_number(member) > max)
        return json_fail(member, diag, CHOIR_ERR_FORMAT,
                         "must be a number from %.15g to %.15g; it is %.15g", min, max,
                         json_number(member));
    *out = json_number(member);
    return CHOIR_OK;
}

enum choir_err json_get_u64(const struct json_node *node, const char *key, uint64_t min,
                            uint64_t max, uint64_t *out, struct choir_diag *diag)
{
    enum choir_err err = CHOIR_OK;
    const struct json_node *member = get(node, key, JSON_NUMBER, &err, diag);
    double value;

    if (member == NULL)
        return err;
    value = json_number(member);
    // Written with a fraction or an exponent a number may be anything: 2^53 bounds the cast.
    if (value < 0 || value > 9007199254740992.0 || value - floor(value) > 0 ||
        (uint64_t)value < min || (uint64_t)value > max)
        return json_fail(member, diag, CHOIR_ERR_FORMAT,
                         "must be a whole number from %llu to %llu; it is %.15g",
                         (unsigned long long)min, (unsigned long long)max, value);
    *out = (uint64_t)value;
    return CHOIR_OK;
}

// One step of a path, "[3]" or "key" or ".key", taken off its front; NULL if it leads nowhere.
static const struct json_node *step(const struct json_node *node, const char **path)
{
    char key[256];
    size_t len;
    char *end;

    if (**path == '[') {
        unsigned long index = strtoul(*path + 1, &end, 10);

        *path = *end == ']' ? end + 1 : end;
        return index < json_count(node) ? json_at(node, index) : NULL;
    }
    *path += strspn(*path, ".");
    len = strcspn(*path, ".[");
    if (len == 0 || len >= sizeof key)
        return NULL;
    memcpy(key, *path, len);
    key[len] = '\0';
    *path += len;
    return json_get(node, key);
}

const struct json_node *json_find(const struct json_node *root, const char *path)
{
    while (*path != '\0') {
        const struct json_node *next = step(root, &path);

        if (next == NULL)
            break;
        root = next;
    }
    return root;
}
