/* log - one line per event on standard error, for the programs; libraries are silent.
 *
 *   2026-03-04T05:06:07.089Z info midwest round_charged run=9f86d081 round=3
 *
 * or, as JSON, one object a line. Event names are stable and in snake_case; what is told is in
 * fields. Texts are escaped, so that a peer's words cannot start a new line or a new field, and
 * cut at LOG_TEXT_MAX bytes. Never logged, at any level: keys, seeds, records, gradients,
 * updates, or any number derived from data that is not charged.
 *
 * A line is one write(2), so that processes which share standard error do not mix their lines.
 * Opens nothing, so that it works in a sealed process.
 */
#ifndef CHOIR_OPS_LOG_H
#define CHOIR_OPS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    LOG_TEXT_MAX = 512,  // bytes of one text value, before escaping
    LOG_LINE_MAX = 4096, // bytes of one line; what does not fit is left out, with cut=true
};

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

enum log_kind { LOG_NOTHING, LOG_TEXT, LOG_WHOLE, LOG_REAL, LOG_TRUTH, LOG_HEX };

/* One key and its value, made by the functions below; what it points to is borrowed. */
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        const char *text;
        uint64_t whole;
        double real;
        bool truth;
        struct {
            const uint8_t *at;
            size_t len;
        } bytes;
    } as;
};

/* Sets what stands in every line: `name` (a program or site name; kept, must live on), JSON or
 * text, and the lowest level that is written. Called once, at the start of a process. */
void log_start(const char *name, bool json, enum log_level lowest);

/* Where lines go; standard error until this is called. */
void log_to(int fd);

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){.key = key, .kind = LOG_TEXT, .as = {.text = text}};
}

static inline struct log_field log_whole(const char *key, uint64_t whole)
{
    return (struct log_field){.key = key, .kind = LOG_WHOLE, .as = {.whole = whole}};
}

static inline struct log_field log_real(const char *key, double real)
{
    return (struct log_field){.key = key, .kind = LOG_REAL, .as = {.real = real}};
}

static inline struct log_field log_truth(const char *key, bool truth)
{
    return (struct log_field){.key = key, .kind = LOG_TRUTH, .as = {.truth = truth}};
}

/* Lower-case hex; for public values such as hashes and run ids. */
static inline struct log_field log_hex(const char *key, const uint8_t *at, size_t len)
{
    return (struct log_field){.key = key, .kind = LOG_HEX, .as = {.bytes = {at, len}}};
}

/* error="fixed phrase", from the code. */
static inline struct log_field log_err(enum choir_err err)
{
    return log_text("error", choir_err_text(err));
}

/* Stands where an event has no fields. */
static inline struct log_field log_none(void)
{
    return (struct log_field){.key = "", .kind = LOG_NOTHING};
}

/* Writes one line; errors of writing are ignored, as there is nobody left to tell. */
void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                size_t n_fields);

/* LOG_EVENT(LOG_INFO, "round_charged", log_hex("run", run, 16), log_whole("round", 3)); */
#define LOG_EVENT(level, event, ...)                                      \
    log_fields((level), (event), (const struct log_field[]){__VA_ARGS__}, \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* Formats the line without writing it: what log_fields() writes, with the given time in
 * milliseconds since 1970. Returns its length, the ending newline included. */
size_t log_format(char text[static LOG_LINE_MAX], uint64_t unix_ms, enum log_level level,
                  const char *event, const struct log_field *fields, size_t n_fields);

#endif
