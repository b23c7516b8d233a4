// Prints the tables of field.h as a JSON Schema.
#include <stdlib.h>
#include <string.h>

#include "base/json_out.h"
#include "configs/field.h"

static void put_object(struct json_out *out, const struct field *fields, size_t n);

static void put_words(struct json_out *out, const struct field *field)
{
    json_out_array(out, "enum");
    for (size_t i = 0; i < field->n_words; i++)
        json_out_text(out, NULL, field->words[i]);
    json_out_close(out);
}

static void put_number(struct json_out *out, const struct field *field)
{
    json_out_text(out, "type", field->kind == FIELD_NUMBER ? "number" : "integer");
    json_out_number(out, field->above_min ? "exclusiveMinimum" : "minimum", field->min);
    json_out_number(out, field->below_max ? "exclusiveMaximum" : "maximum", field->max);
    if (field->step != 0)
        json_out_u64(out, "multipleOf", field->step);
    if (field->optional && field->given == 0)
        json_out_number(out, "default", field->fallback);
}

static void put_line(struct json_out *out, const struct field *field)
{
    const char *pattern = field_form_pattern(field->form);

    if (field->nullable) {
        json_out_array(out, "type");
        json_out_text(out, NULL, "string");
        json_out_text(out, NULL, "null");
        json_out_close(out);
    } else {
        json_out_text(out, "type", "string");
    }
    if (pattern != NULL)
        json_out_text(out, "pattern", pattern);
    if (field->form == FIELD_LINE && field->min_bytes > 0)
        json_out_u64(out, "minLength", field->min_bytes);
    if (field->form == FIELD_LINE)
        json_out_u64(out, "maxLength", field->max_bytes);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables
static void put_array(struct json_out *out, const struct field *field)
{
    json_out_text(out, "type", "array");
    json_out_u64(out, "minItems", field->min_items);
    json_out_u64(out, "maxItems", field->max_items);
    if (field->kind == FIELD_WORD_SET || field->kind == FIELD_TEXTS)
        json_out_bool(out, "uniqueItems", true);
    json_out_object(out, "items");
    if (field->kind == FIELD_TEXTS) {
        json_out_text(out, "type", "string");
        json_out_u64(out, "maxLength", field->max_bytes);
    } else if (field->kind == FIELD_WORDS || field->kind == FIELD_WORD_SET) {
        put_words(out, field);
    } else {
        put_object(out, field->fields, field->n_fields);
    }
    json_out_close(out);
}

static void put_word(struct json_out *out, const struct field *field)
{
    put_words(out, field);
    if (field->optional)
        json_out_text(out, "default", field->words[(size_t)field->fallback]);
}

static void put_bool(struct json_out *out, const struct field *field)
{
    json_out_text(out, "type", "boolean");
    if (field->optional)
        json_out_bool(out, "default", (unsigned)field->fallback != 0);
}

static void put_number_or_text(struct json_out *out)
{
    json_out_array(out, "type");
    json_out_text(out, NULL, "number");
    json_out_text(out, NULL, "string");
    json_out_close(out);
}

static void put_hash(struct json_out *out)
{
    json_out_text(out, "type", "string");
    json_out_text(out, "pattern", "^[0-9a-fA-F]{64}$");
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables
static void put_field(struct json_out *out, const struct field *field)
{
    json_out_object(out, field->name);
    json_out_text(out, "description", field->help);
    switch (field->kind) {
    case FIELD_VERSION:
        json_out_number(out, "const", field->max);
        break;
    case FIELD_NUMBER:
    case FIELD_U32:
    case FIELD_U64:
        put_number(out, field);
        break;
    case FIELD_BOOL:
        put_bool(out, field);
        break;
    case FIELD_WORD:
        put_word(out, field);
        break;
    case FIELD_TEXT:
        put_line(out, field);
        break;
    case FIELD_HASH:
        put_hash(out);
        break;
    case FIELD_FILL:
        put_number_or_text(out);
        break;
    case FIELD_OBJECT:
        put_object(out, field->fields, field->n_fields);
        break;
    case FIELD_WORDS:
    case FIELD_WORD_SET:
    case FIELD_TEXTS:
    case FIELD_LIST:
    case FIELD_ARRAY:
        put_array(out, field);
        break;
    }
    json_out_close(out);
}

static bool is_dependent(const struct field *field, size_t word, bool allowed)
{
    return field->when != 0 && ((field->when >> word & 1) != 0) == allowed;
}

// "if the kind is this word, then these keys must be there and those must not".
static void put_case(struct json_out *out, const struct field *fields, size_t n,
                     const struct field *selector, size_t word)
{
    json_out_object(out, NULL);
    json_out_object(out, "if");
    if (selector->optional && word != (size_t)selector->fallback) { // left out: another word
        json_out_array(out, "required");
        json_out_text(out, NULL, selector->name);
        json_out_close(out);
    }
    json_out_object(out, "properties");
    json_out_object(out, selector->name);
    json_out_text(out, "const", selector->words[word]);
    json_out_close(out);
    json_out_close(out);
    json_out_close(out);
    json_out_object(out, "then");
    json_out_array(out, "required");
    for (size_t i = 0; i < n; i++)
        if (is_dependent(&fields[i], word, true) && !fields[i].optional)
            json_out_text(out, NULL, fields[i].name);
    json_out_close(out);
    json_out_object(out, "properties");
    for (size_t i = 0; i < n; i++)
        if (is_dependent(&fields[i], word, false))
            json_out_bool(out, fields[i].name, false);
    json_out_close(out);
    json_out_close(out);
    json_out_close(out);
}

static void put_cases(struct json_out *out, const struct field *fields, size_t n)
{
    const struct field *selector = NULL;

    for (size_t i = 0; i < n; i++)
        if (fields[i].selects)
            selector = &fields[i];
    if (selector == NULL)
        return;
    json_out_array(out, "allOf");
    for (size_t word = 0; word < selector->n_words; word++)
        put_case(out, fields, n, selector, word);
    json_out_close(out);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tables
static void put_object(struct json_out *out, const struct field *fields, size_t n)
{
    json_out_text(out, "type", "object");
    json_out_bool(out, "additionalProperties", false);
    json_out_array(out, "required");
    for (size_t i = 0; i < n; i++)
        if (!fields[i].optional && fields[i].when == 0)
            json_out_text(out, NULL, fields[i].name);
    json_out_close(out);
    json_out_object(out, "properties");
    for (size_t i = 0; i < n; i++)
        put_field(out, &fields[i]);
    json_out_close(out);
    put_cases(out, fields, n);
}

enum choir_err field_schema(const char *title, const char *help, const struct field *fields,
                            size_t n, char **text)
{
    struct json_out *out = NULL;
    enum choir_err err = json_out_new(true, &out);

    if (err != CHOIR_OK)
        return err;
    json_out_object(out, NULL);
    json_out_text(out, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_out_text(out, "title", title);
    json_out_text(out, "description", help);
    put_object(out, fields, n);
    json_out_close(out);
    err = json_out_end(out, text, NULL);
    json_out_free(out);
    return err;
}
