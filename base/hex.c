#include "base/hex.h"

#include <string.h>

void hex_put(char *text, const uint8_t *from, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[from[i] >> 4];
        text[2 * i + 1] = digits[from[i] & 15];
    }
    text[2 * len] = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

enum choir_err hex_get(uint8_t *to, size_t len, const char *text)
{
    if (strlen(text) != 2 * len)
        return CHOIR_ERR_FORMAT;
    for (size_t i = 0; i < len; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return CHOIR_ERR_FORMAT;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return CHOIR_OK;
}
