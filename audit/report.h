/* report - what an audit found: lines for people and the verdict for the exit code. */
#ifndef CHOIR_AUDIT_REPORT_H
#define CHOIR_AUDIT_REPORT_H

#include <stddef.h>

#include "base/err.h"

/* The exit codes of choir-audit verify. */
enum verdict { VERDICT_GOOD = 0, VERDICT_BAD = 1, VERDICT_CANNOT_TELL = 2 };

struct report {
    size_t n_good, n_bad, n_unknown;
};

/* One line on standard output: "good", "BAD" or "cannot tell", the place, what it is. */
void report_good(struct report *report, const char *place, const char *format, ...)
    CHOIR_PRINTF(3, 4);
void report_bad(struct report *report, const char *place, const char *format, ...)
    CHOIR_PRINTF(3, 4);
void report_unknown(struct report *report, const char *place, const char *format, ...)
    CHOIR_PRINTF(3, 4);

/* Bad beats cannot-tell beats good; nothing checked at all is cannot-tell. */
enum verdict report_verdict(const struct report *report);

#endif
