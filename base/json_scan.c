#include "base/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { NUMBER_MAX = 48 }; // characters of one number; cJSON reads up to 63

static const double exact_max = 9007199254740992.0; // 2^53

struct cursor {
    const uint8_t *at, *end;
    unsigned line;
    unsigned *lines;
    size_t n_values, room;
    const char *reason;
    enum choir_err err;
};

// Latches the first failure. Always false, so that callers can return it.
static bool fail(struct cursor *c, const char *reason)
{
    if (c->err == CHOIR_OK) {
        c->err = CHOIR_ERR_FORMAT;
        c->reason = reason;
    }
    return false;
}

static bool note_value(struct cursor *c)
{
    if (c->n_values == c->room) {
        size_t room = c->room == 0 ? 64 : 2 * c->room;
        unsigned *lines = reallocarray(c->lines, room, sizeof *lines);

        if (lines == NULL) {
            c->err = CHOIR_ERR_MEMORY;
            return false;
        }
        c->lines = lines;
        c->room = room;
    }
    c->lines[c->n_values++] = c->line;
    return true;
}

static void skip_blanks(struct cursor *c)
{
    for (; c->at < c->end; c->at++) {
        if (*c->at == '\n')
            c->line++;
        else if (*c->at != ' ' && *c->at != '\t' && *c->at != '\r')
            return;
    }
}

// The next byte, or 0 at the end. A zero byte in the text is no part of any token either.
static uint8_t peek(const struct cursor *c)
{
    return c->at < c->end ? *c->at : 0;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool in_range(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

// Bytes of the well-formed character at `at`, or 0.
static size_t utf8_len(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n = 0;

    if (at[0] < 0x80)
        return 1;
    if (in_range(at[0], 0xc2, 0xdf))
        n = 2;
    else if (in_range(at[0], 0xe0, 0xef))
        n = 3;
    else if (in_range(at[0], 0xf0, 0xf4))
        n = 4;
    if (n == 0 || n > left)
        return 0;
    // The second byte rules out overlong forms, surrogates and values above U+10FFFF.
    if (at[0] == 0xe0)
        low = 0xa0;
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xed)
        high = 0x9f;
    else if (at[0] == 0xf4)
        high = 0x8f;
    if (!in_range(at[1], low, high))
        return 0;
    for (size_t i = 2; i < n; i++)
        if (!in_range(at[i], 0x80, 0xbf))
            return 0;
    return n;
}

bool json_utf8_is_valid(const uint8_t *text, size_t len)
{
    while (len > 0) {
        size_t n = utf8_len(text, len);

        if (n == 0)
            return false;
        text += n;
        len -= n;
    }
    return true;
}

// The value of four hexadecimal digits at the cursor, which moves past them; -1 if not there.
static int32_t scan_hex4(struct cursor *c)
{
    int32_t value = 0;

    if (c->end - c->at < 4)
        return -1;
    for (size_t i = 0; i < 4; i++, c->at++) {
        uint8_t byte = *c->at;
        int32_t digit;

        if (is_digit(byte))
            digit = byte - '0';
        else if (in_range(byte, 'a', 'f'))
            digit = byte - 'a' + 10;
        else if (in_range(byte, 'A', 'F'))
            digit = byte - 'A' + 10;
        else
            return -1;
        value = 16 * value + digit;
    }
    return value;
}

// After "\u".
static bool scan_unicode_escape(struct cursor *c)
{
    int32_t first = scan_hex4(c), second;

    if (first < 0)
        return fail(c, "\\u needs four hexadecimal digits");
    if (first == 0)
        return fail(c, "a string must not hold a zero byte (\\u0000)");
    if (first < 0xd800 || first > 0xdfff)
        return true;
    if (first > 0xdbff || c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u')
        return fail(c, "half of a surrogate pair stands alone");
    c->at += 2;
    second = scan_hex4(c);
    if (second < 0xdc00 || second > 0xdfff)
        return fail(c, "half of a surrogate pair stands alone");
    return true;
}

// After the backslash.
static bool scan_escape(struct cursor *c)
{
    uint8_t byte = peek(c);

    if (byte == 0 || strchr("\"\\/bfnrtu", byte) == NULL)
        return fail(c, "unknown escape in a string (known: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u)");
    c->at++;
    return byte != 'u' || scan_unicode_escape(c);
}

// At the opening quote.
static bool scan_string(struct cursor *c)
{
    for (c->at++; c->at < c->end && *c->at != '"';) {
        size_t n = utf8_len(c->at, (size_t)(c->end - c->at));

        if (n == 0)
            return fail(c, "not valid UTF-8");
        if (*c->at < 0x20)
            return fail(c,
                        "a line break or control character inside a string (is a quote missing?)");
        c->at += n;
        if (c->at[-1] == '\\' && !scan_escape(c))
            return false;
    }
    if (c->at == c->end)
        return fail(c, "the text ends inside a string");
    c->at++;
    return true;
}

static bool skip_digits(struct cursor *c)
{
    const uint8_t *start = c->at;

    while (is_digit(peek(c)))
        c->at++;
    return c->at > start;
}

// Does a double hold what was written? `whole`: written without fraction and exponent.
static bool check_number(struct cursor *c, const uint8_t *start, bool whole)
{
    size_t len = (size_t)(c->at - start);
    char text[NUMBER_MAX + 1];
    double value;

    if (len > NUMBER_MAX)
        return fail(c, "a number has more than 48 characters");
    memcpy(text, start, len);
    text[len] = '\0';
    value = strtod(text, NULL);
    if (!isfinite(value))
        return fail(c, "a number is too large");
    // Above 2^53 doubles are more than one apart, and 2^53 + 1 is read as 2^53.
    if (whole && fabs(value) >= exact_max &&
        strcmp(text + (text[0] == '-'), "9007199254740992") != 0)
        return fail(c, "a whole number is too large to be kept exactly (limit 9007199254740992)");
    // Digits other than zero before the exponent, but a value of zero: it underflowed.
    if (fpclassify(value) == FP_ZERO && strcspn(text, "123456789") < strcspn(text, "eE"))
        return fail(c, "a number is too small: it would become zero");
    return true;
}

static bool scan_number(struct cursor *c)
{
    const uint8_t *start = c->at;
    bool whole = true;

    if (peek(c) == '-')
        c->at++;
    if (peek(c) == '0') {
        c->at++;
        if (is_digit(peek(c)))
            return fail(c, "a number must not begin with 0");
    } else if (!skip_digits(c)) {
        return fail(c, "a number has no digits");
    }
    if (peek(c) == '.') {
        whole = false;
        c->at++;
        if (!skip_digits(c))
            return fail(c, "a number has no digits after its point");
    }
    if (peek(c) == 'e' || peek(c) == 'E') {
        whole = false;
        c->at++;
        if (peek(c) == '+' || peek(c) == '-')
            c->at++;
        if (!skip_digits(c))
            return fail(c, "a number has no digits in its exponent");
    }
    return check_number(c, start, whole);
}

static bool scan_word(struct cursor *c, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return fail(c, "a value must be a string, number, true, false, null, array or object");
    c->at += len;
    return true;
}

static bool scan_value(struct cursor *c, unsigned depth);

// The key and the colon of a member.
static bool scan_key(struct cursor *c)
{
    skip_blanks(c);
    if (peek(c) != '"')
        return fail(c, peek(c) == '}' ? "a comma stands before the closing bracket"
                                      : "a key in double quotes is expected");
    if (!scan_string(c))
        return false;
    skip_blanks(c);
    if (peek(c) != ':')
        return fail(c, "a colon is expected after the key");
    c->at++;
    return true;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by `depth`
static bool scan_container(struct cursor *c, unsigned depth)
{
    bool is_object = *c->at == '{';
    uint8_t close = is_object ? '}' : ']';

    if (depth == JSON_MAX_DEPTH)
        return fail(c, "arrays and objects are nested more than 32 deep");
    c->at++;
    skip_blanks(c);
    if (peek(c) == close) {
        c->at++;
        return true;
    }
    for (;;) {
        if (is_object && !scan_key(c))
            return false;
        if (!scan_value(c, depth + 1))
            return false;
        skip_blanks(c);
        if (peek(c) == close)
            break;
        if (peek(c) != ',')
            return fail(c, c->at == c->end ? "the text ends inside an array or object"
                                           : "a comma or the closing bracket is expected");
        c->at++;
    }
    c->at++;
    return true;
}

// `depth` counts the arrays and objects around the value, at most JSON_MAX_DEPTH.
// NOLINTNEXTLINE(misc-no-recursion): bounded by `depth`
static bool scan_value(struct cursor *c, unsigned depth)
{
    uint8_t byte;

    skip_blanks(c);
    byte = peek(c);
    if (c->at == c->end)
        return fail(c, "the text ends where a value is expected");
    if (!note_value(c))
        return false;
    if (byte == '{' || byte == '[')
        return scan_container(c, depth);
    if (byte == '"')
        return scan_string(c);
    if (byte == '-' || is_digit(byte))
        return scan_number(c);
    if (byte == 't')
        return scan_word(c, "true");
    if (byte == 'f')
        return scan_word(c, "false");
    return scan_word(c, "null");
}

enum choir_err json_scan(const uint8_t *text, size_t len, struct json_scan *out)
{
    struct cursor c = {.at = text, .end = text + len, .line = 1};

    if (scan_value(&c, 0)) {
        skip_blanks(&c);
        if (c.at != c.end)
            fail(&c, "something follows the end of the document");
    }
    *out = (struct json_scan){
        .lines = c.lines, .n_values = c.n_values, .line = c.line, .reason = c.reason};
    if (c.err != CHOIR_OK) {
        free(c.lines);
        out->lines = NULL;
    }
    return c.err;
}
