#include "wire/enrolment.h"

#include <string.h>

#include "base/buf.h"
#include "base/hex.h"

enum { SITE_VERSION = 2, RELAY_VERSION = 1, NONCE_VERSION = 1 };

// The first bytes of a file; with its zero also the context of the signature.
static const char site_magic[] = "CHOIR-PUB";
static const char relay_magic[] = "CHOIR-RELAY-PUB";
static const char nonce_magic[] = "CHOIR-NONCE";

static struct buf begin(uint8_t to[static ENROLMENT_BYTES_MAX], const char *magic, uint16_t version)
{
    struct buf buf = buf_over(to, ENROLMENT_BYTES_MAX - SIGN_BYTES);

    buf_bytes(&buf, magic, strlen(magic) + 1);
    buf_u16(&buf, version);
    return buf;
}

static enum choir_err finish(struct buf *buf, size_t *len, const char *name,
                             const uint8_t sign_key[static SIGN_PUBLIC_BYTES],
                             const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    if (!buf_ok(buf) || !roster_name_is_valid(name))
        return CHOIR_ERR_FORMAT;
    sign_make(buf->at + buf->len, buf->at, buf->len, secret_key);
    if (sign_check(buf->at + buf->len, buf->at, buf->len, sign_key) != CHOIR_OK)
        return CHOIR_ERR_FORMAT; // the secret is not that of the key in the record
    *len = buf->len + SIGN_BYTES;
    return CHOIR_OK;
}

// The fields behind magic and version; a view that has failed if they are not as they should be.
static struct view open_record(const uint8_t *bytes, size_t len, const char *magic,
                               uint16_t version)
{
    const size_t magic_len = strlen(magic) + 1;
    struct view view = view_over(bytes, len > SIGN_BYTES ? len - SIGN_BYTES : 0);
    const uint8_t *head = view_take(&view, magic_len);

    if (len > ENROLMENT_BYTES_MAX || head == NULL || memcmp(head, magic, magic_len) != 0 ||
        view_u16(&view) != version)
        view.failed = true;
    return view;
}

static enum choir_err check_record(const struct view *view, const uint8_t *bytes, size_t len,
                                   const char *name,
                                   const uint8_t sign_key[static SIGN_PUBLIC_BYTES])
{
    if (!view_done(view) || !roster_name_is_valid(name))
        return CHOIR_ERR_FORMAT;
    return sign_check(bytes + len - SIGN_BYTES, bytes, len - SIGN_BYTES, sign_key);
}

enum choir_err enrolment_sign(uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len,
                              const struct roster_site *site,
                              const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    struct buf buf = begin(to, site_magic, SITE_VERSION);

    buf_text(&buf, site->name);
    buf_bytes(&buf, site->sign_key, sizeof site->sign_key);
    buf_bytes(&buf, site->curve_key, sizeof site->curve_key);
    buf_bytes(&buf, site->ledger_key, sizeof site->ledger_key);
    buf_bytes(&buf, site->commitment, sizeof site->commitment);
    return finish(&buf, len, site->name, site->sign_key, secret_key);
}

enum choir_err enrolment_decode(const uint8_t *bytes, size_t len, struct roster_site *site)
{
    struct roster_site found = {0};
    struct view view = open_record(bytes, len, site_magic, SITE_VERSION);
    enum choir_err err;

    view_text(&view, found.name, sizeof found.name);
    view_bytes(&view, found.sign_key, sizeof found.sign_key);
    view_bytes(&view, found.curve_key, sizeof found.curve_key);
    view_bytes(&view, found.ledger_key, sizeof found.ledger_key);
    view_bytes(&view, found.commitment, sizeof found.commitment);
    err = check_record(&view, bytes, len, found.name, found.sign_key);
    if (err == CHOIR_OK)
        *site = found;
    return err;
}

enum choir_err enrolment_sign_relay(uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len,
                                    const struct roster_relay *relay,
                                    const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    struct buf buf = begin(to, relay_magic, RELAY_VERSION);

    buf_text(&buf, relay->name);
    buf_bytes(&buf, relay->sign_key, sizeof relay->sign_key);
    buf_bytes(&buf, relay->curve_key, sizeof relay->curve_key);
    buf_text(&buf, relay->control);
    buf_text(&buf, relay->bulk);
    return finish(&buf, len, relay->name, relay->sign_key, secret_key);
}

enum choir_err enrolment_decode_relay(const uint8_t *bytes, size_t len, struct roster_relay *relay)
{
    struct roster_relay found = {0};
    struct view view = open_record(bytes, len, relay_magic, RELAY_VERSION);
    enum choir_err err;

    view_text(&view, found.name, sizeof found.name);
    view_bytes(&view, found.sign_key, sizeof found.sign_key);
    view_bytes(&view, found.curve_key, sizeof found.curve_key);
    view_text(&view, found.control, sizeof found.control);
    view_text(&view, found.bulk, sizeof found.bulk);
    err = check_record(&view, bytes, len, found.name, found.sign_key);
    if (err == CHOIR_OK)
        *relay = found;
    return err;
}

enum choir_err enrolment_sign_nonce(uint8_t to[static ENROLMENT_BYTES_MAX], size_t *len,
                                    const struct enrolment_nonce *shown,
                                    const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    struct buf buf = begin(to, nonce_magic, NONCE_VERSION);

    buf_text(&buf, shown->name);
    buf_bytes(&buf, shown->sign_key, sizeof shown->sign_key);
    buf_bytes(&buf, shown->list, sizeof shown->list);
    buf_bytes(&buf, shown->nonce, sizeof shown->nonce);
    return finish(&buf, len, shown->name, shown->sign_key, secret_key);
}

enum choir_err enrolment_decode_nonce(const uint8_t *bytes, size_t len,
                                      struct enrolment_nonce *shown)
{
    struct enrolment_nonce found = {0};
    struct view view = open_record(bytes, len, nonce_magic, NONCE_VERSION);
    enum choir_err err;

    view_text(&view, found.name, sizeof found.name);
    view_bytes(&view, found.sign_key, sizeof found.sign_key);
    view_bytes(&view, found.list, sizeof found.list);
    view_bytes(&view, found.nonce, sizeof found.nonce);
    err = check_record(&view, bytes, len, found.name, found.sign_key);
    if (err == CHOIR_OK)
        *shown = found;
    return err;
}

void enrolment_fingerprint(char text[static ROSTER_FINGERPRINT_MAX], const uint8_t *bytes,
                           size_t len)
{
    uint8_t hash[HASH_BYTES];

    hash_bytes(hash, bytes, len);
    hex_put(text, hash, sizeof hash);
}
