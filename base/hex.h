/* hex - bytes as lower-case hexadecimal text and back. */
#ifndef CHOIR_BASE_HEX_H
#define CHOIR_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Writes 2 * len digits and a zero into `text`, which has room for 2 * len + 1. */
void hex_put(char *text, const uint8_t *from, size_t len);

/* Reads exactly 2 * len digits, either case, followed by the end of `text`.
 * Fails with CHOIR_ERR_FORMAT. Not constant-time: for public values only. */
CHOIR_MUST_CHECK enum choir_err hex_get(uint8_t *to, size_t len, const char *text);

#endif
