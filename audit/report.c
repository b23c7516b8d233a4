#include "audit/report.h"

#include <stdarg.h>
#include <stdio.h>

static void line(const char *word, const char *place, const char *format, va_list args)
{
    printf("%-11s  %s: ", word, place);
    vprintf(format, args);
    putchar('\n');
}

void report_good(struct report *report, const char *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("good", place, format, args);
    va_end(args);
    report->n_good++;
}

void report_bad(struct report *report, const char *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("BAD", place, format, args);
    va_end(args);
    report->n_bad++;
}

void report_unknown(struct report *report, const char *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("cannot tell", place, format, args);
    va_end(args);
    report->n_unknown++;
}

enum verdict report_verdict(const struct report *report)
{
    if (report->n_bad > 0)
        return VERDICT_BAD;
    return report->n_unknown > 0 || report->n_good == 0 ? VERDICT_CANNOT_TELL : VERDICT_GOOD;
}
