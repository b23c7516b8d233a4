#include "audit/report.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 768 };

static void line(const char *word, const char *place, const char *text)
{
    printf("%-11s  %s: %s\n", word, place, text);
}

void report_good(struct report *report, const char *place, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    line("good", place, text);
    report->n_good++;
}

void report_bad(struct report *report, const char *place, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    line("BAD", place, text);
    report->n_bad++;
}

void report_unknown(struct report *report, const char *place, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    line("cannot tell", place, text);
    report->n_unknown++;
}

enum verdict report_verdict(const struct report *report)
{
    if (report->n_bad > 0)
        return VERDICT_BAD;
    return report->n_unknown > 0 || report->n_good == 0 ? VERDICT_CANNOT_TELL : VERDICT_GOOD;
}
