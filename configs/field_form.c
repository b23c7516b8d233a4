// The forms of text of field.h.
#include <stdlib.h>
#include <string.h>

#include "configs/field.h"

enum { NAME_MAX_BYTES = 63, PATH_MAX_BYTES = 4095, PORT_DIGITS = 5 };

static const char *const patterns[] = {
    [FIELD_LINE] = NULL,
    [FIELD_NAME] = "^[a-z0-9_-]{1,63}$",
    [FIELD_PATH] = NULL,
    [FIELD_ENDPOINT] = "^tcp://[\\[\\]A-Za-z0-9.:_-]+:[0-9]{1,5}$",
};

static const char *const texts[] = {
    [FIELD_LINE] = "one line of text without control characters",
    [FIELD_NAME] = "1 to 63 lower-case letters, digits, '-' or '_'",
    [FIELD_PATH] = "a path of 1 to 4095 bytes without control characters",
    [FIELD_ENDPOINT] = "\"tcp://HOST:PORT\" with a port from 1 to 65535",
};

const char *field_form_pattern(enum field_form form)
{
    return patterns[form];
}

const char *field_form_text(enum field_form form)
{
    return texts[form];
}

// Control characters (C0, DEL and, as UTF-8, C1) would reach the terminal of whoever reads it.
static bool is_one_line(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)text[0], next = (unsigned char)text[1];

        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next <= 0x9f))
            return false;
    }
    return true;
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= NAME_MAX_BYTES &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static bool is_endpoint(const char *text)
{
    static const char scheme[] = "tcp://";
    const char *host = text + sizeof scheme - 1;
    const char *port;

    if (strncmp(text, scheme, sizeof scheme - 1) != 0 || strlen(text) > 127)
        return false;
    port = strrchr(host, ':');
    if (port == NULL || port == host)
        return false;
    for (const char *at = host; at < port; at++)
        if (strchr("[].:_-", *at) == NULL && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", *at) == NULL &&
            strchr("abcdefghijklmnopqrstuvwxyz0123456789", *at) == NULL)
            return false;
    port++;
    return strlen(port) >= 1 && strlen(port) <= PORT_DIGITS &&
           strspn(port, "0123456789") == strlen(port) && strtoul(port, NULL, 10) >= 1 &&
           strtoul(port, NULL, 10) <= UINT16_MAX;
}

bool field_form_fits(enum field_form form, const char *text)
{
    switch (form) {
    case FIELD_NAME:
        return is_name(text);
    case FIELD_ENDPOINT:
        return is_endpoint(text);
    case FIELD_PATH:
        return text[0] != '\0' && strlen(text) <= PATH_MAX_BYTES && is_one_line(text);
    case FIELD_LINE:
        break;
    }
    return is_one_line(text);
}
