#include "wire/enrolment.h"

#include <string.h>

#include "base/buf.h"
#include "base/hex.h"

enum { VERSION = 1 };

// The first bytes of the file; with its zero also the context of the signature.
static const char magic[] = "CHOIR-PUB";

enum choir_err enrolment_sign(uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len,
                              const struct roster_site *site,
                              const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    struct buf buf = buf_over(to, ENROLMENT_BYTES_MAX - SIGN_BYTES);

    if (!roster_name_is_valid(site->name))
        return CHOIR_ERR_FORMAT;
    buf_bytes(&buf, magic, sizeof magic);
    buf_u16(&buf, VERSION);
    buf_text(&buf, site->name);
    buf_bytes(&buf, site->sign_key, sizeof site->sign_key);
    buf_bytes(&buf, site->curve_key, sizeof site->curve_key);
    buf_bytes(&buf, site->ledger_key, sizeof site->ledger_key);
    if (!buf_ok(&buf))
        return CHOIR_ERR_FORMAT;
    sign_make(to + buf.len, to, buf.len, secret_key);
    if (sign_check(to + buf.len, to, buf.len, site->sign_key) != CHOIR_OK)
        return CHOIR_ERR_FORMAT; // the secret is not that of the key in the record
    *len = buf.len + SIGN_BYTES;
    return CHOIR_OK;
}

enum choir_err enrolment_decode(const uint8_t *bytes, size_t len, struct roster_site *site)
{
    struct roster_site found = {0};
    const uint8_t *head;
    struct view view;
    enum choir_err err;

    if (len <= SIGN_BYTES || len > ENROLMENT_BYTES_MAX)
        return CHOIR_ERR_FORMAT;
    view = view_over(bytes, len - SIGN_BYTES);
    head = view_take(&view, sizeof magic);
    if (head == NULL || memcmp(head, magic, sizeof magic) != 0 || view_u16(&view) != VERSION)
        return CHOIR_ERR_FORMAT;
    view_text(&view, found.name, sizeof found.name);
    view_bytes(&view, found.sign_key, sizeof found.sign_key);
    view_bytes(&view, found.curve_key, sizeof found.curve_key);
    view_bytes(&view, found.ledger_key, sizeof found.ledger_key);
    if (!view_done(&view) || !roster_name_is_valid(found.name))
        return CHOIR_ERR_FORMAT;
    err = sign_check(bytes + len - SIGN_BYTES, bytes, len - SIGN_BYTES, found.sign_key);
    if (err == CHOIR_OK)
        *site = found;
    return err;
}

void enrolment_fingerprint(char text[static ROSTER_FINGERPRINT_MAX], const uint8_t *bytes,
                           size_t len)
{
    uint8_t hash[HASH_BYTES];

    hash_bytes(hash, bytes, len);
    hex_put(text, hash, sizeof hash);
}
