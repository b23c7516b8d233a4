#include "ops/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Set once by log_start() and log_to(), before anything is logged.
static const char *who = "choir";
static bool as_json;
static enum log_level lowest_level = LOG_INFO;
static int log_fd = STDERR_FILENO;

static const char level_names[][8] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

enum { LINE_TAIL = 24 }; // room kept for " cut=true" or the JSON of it, and the newline

struct line {
    char *text;
    size_t len, max;
    bool cut;
};

void log_start(const char *name, bool json, enum log_level lowest)
{
    who = name;
    as_json = json;
    lowest_level = lowest;
}

void log_to(int fd)
{
    log_fd = fd;
}

static void add_bytes(struct line *line, const char *from, size_t len)
{
    if (line->cut || len > line->max - line->len) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->len, from, len);
    line->len += len;
}

static void CHOIR_PRINTF(2, 3) add(struct line *line, const char *format, ...)
{
    char piece[256];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (len > 0)
        add_bytes(line, piece, (size_t)len < sizeof piece ? (size_t)len : sizeof piece - 1);
}

static bool is_plain(unsigned char byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '=';
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0')
        return true;
    for (size_t i = 0; i < LOG_TEXT_MAX && text[i] != '\0'; i++)
        if (!is_plain((unsigned char)text[i]))
            return true;
    return false;
}

// Everything outside printable ASCII is written as \u00XX (per byte), which JSON readers take too.
static void add_quoted(struct line *line, const char *text)
{
    add(line, "\"");
    for (size_t i = 0; i < LOG_TEXT_MAX && text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\')
            add(line, "\\%c", byte);
        else if (byte < 0x20 || byte >= 0x7f)
            add(line, "\\u%04x", byte);
        else
            add(line, "%c", byte);
    }
    add(line, "\"");
}

static void add_text(struct line *line, const char *text)
{
    if (text == NULL)
        text = "";
    if (as_json || needs_quotes(text))
        add_quoted(line, text);
    else
        add_bytes(line, text, strnlen(text, LOG_TEXT_MAX));
}

static void add_hex(struct line *line, const uint8_t *at, size_t len)
{
    const char *quote = as_json ? "\"" : "";

    add(line, "%s", quote);
    for (size_t i = 0; i < len && i < LOG_TEXT_MAX; i++)
        add(line, "%02x", at[i]);
    add(line, "%s", quote);
}

static void add_real(struct line *line, double real)
{
    if (as_json && !isfinite(real))
        add(line, "\"%g\"", real);
    else
        add(line, "%.6g", real);
}

static void add_value(struct line *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_TEXT:
        add_text(line, field->as.text);
        break;
    case LOG_WHOLE:
        add(line, "%" PRIu64, field->as.whole);
        break;
    case LOG_REAL:
        add_real(line, field->as.real);
        break;
    case LOG_TRUTH:
        add(line, "%s", field->as.truth ? "true" : "false");
        break;
    case LOG_HEX:
        add_hex(line, field->as.bytes.at, field->as.bytes.len);
        break;
    case LOG_NOTHING:
        break;
    }
}

// A field that does not fit is left out whole, so that what stands there can be parsed.
static void add_field(struct line *line, const struct log_field *field)
{
    size_t before = line->len;

    if (field->kind == LOG_NOTHING || line->cut)
        return;
    add(line, as_json ? ",\"%s\":" : " %s=", field->key);
    add_value(line, field);
    if (line->cut)
        line->len = before;
}

// Days since 1970 to a date of the Gregorian calendar; gmtime_r() may open a time zone file.
// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
static void add_time(struct line *line, uint64_t unix_ms)
{
    uint64_t second = unix_ms / 1000;
    uint64_t shifted = second / 86400 + 719468;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = year_of_era + shifted / 146097 * 400 + (month <= 2 ? 1 : 0);

    add(line, "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64, year, month, day);
    add(line, "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "Z", second / 3600 % 24,
        second / 60 % 60, second % 60, unix_ms % 1000);
}

static void add_head(struct line *line, uint64_t unix_ms, enum log_level level, const char *event)
{
    add(line, as_json ? "{\"time\":\"" : "");
    add_time(line, unix_ms);
    add(line, as_json ? "\",\"level\":\"%s\",\"who\":" : " %s ", level_names[level]);
    add_text(line, who);
    add(line, as_json ? ",\"event\":\"%s\"" : " %s", event);
}

size_t log_format(char text[static LOG_LINE_MAX], uint64_t unix_ms, enum log_level level,
                  const char *event, const struct log_field *fields, size_t n_fields)
{
    struct line line = {.max = LOG_LINE_MAX - LINE_TAIL};
    bool cut;

    line.text = text;
    add_head(&line, unix_ms, level, event);
    for (size_t i = 0; i < n_fields; i++)
        add_field(&line, &fields[i]);
    cut = line.cut;
    line.cut = false;
    line.max = LOG_LINE_MAX;
    if (cut)
        add(&line, as_json ? ",\"cut\":true" : " cut=true");
    add(&line, as_json ? "}\n" : "\n");
    return line.len;
}

static uint64_t unix_ms_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                size_t n_fields)
{
    char line[LOG_LINE_MAX];
    size_t len;
    ssize_t written;

    if (level < lowest_level)
        return;
    len = log_format(line, unix_ms_now(), level, event, fields, n_fields);
    written = write(log_fd, line, len);
    (void)written;
}
