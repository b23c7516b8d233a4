/* json_scan - the strict check of a JSON text, before a parser sees it (used by json.h only).
 *
 * The scanner writes down the line of every value in the order in which the values begin: a
 * parser that visits a container before its members numbers them alike.
 */
#ifndef CHOIR_BASE_JSON_SCAN_H
#define CHOIR_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct json_scan {
    unsigned *lines;    // [n_values]; the caller's (free), NULL on failure
    size_t n_values;    //
    unsigned line;      // where the scan stopped, from 1
    const char *reason; // why it failed, a fixed phrase; NULL when it did not
};

/* Scans text[0..len). Fails with CHOIR_ERR_FORMAT or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err json_scan(const uint8_t *text, size_t len, struct json_scan *out);

/* True if text[0..len) is well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
bool json_utf8_is_valid(const uint8_t *text, size_t len);

#endif
