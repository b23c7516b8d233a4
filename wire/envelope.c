#include "wire/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { VERSION = 1 };

static const char magic[4] = {'C', 'H', 'R', '1'};
static const char context[] = "CHOIR-MSG"; // signed with its zero, before the record

// Context, record and body in one piece, with room for the signature: what is signed is
// `bytes`, what travels begins after the context.
static uint8_t *message_new(size_t len)
{
    uint8_t *message = malloc(sizeof context + len);

    if (message != NULL)
        memcpy(message, context, sizeof context);
    return message;
}

enum choir_err envelope_seal(const struct envelope *envelope, const uint8_t *body, size_t body_len,
                             const uint8_t secret_key[static SIGN_SECRET_BYTES], uint8_t **bytes,
                             size_t *len)
{
    size_t record_len = ENVELOPE_HEAD_BYTES + body_len;
    uint8_t *message;
    struct buf buf;

    if (!message_is_control(envelope->kind) || body_len > message_body_max(envelope->kind))
        return CHOIR_ERR_FORMAT;
    message = message_new(record_len + SIGN_BYTES);
    if (message == NULL)
        return CHOIR_ERR_MEMORY;
    buf = buf_over(message + sizeof context, record_len);
    buf_bytes(&buf, magic, sizeof magic);
    buf_u16(&buf, VERSION);
    buf_u16(&buf, envelope->kind);
    buf_bytes(&buf, envelope->run, sizeof envelope->run);
    buf_u64(&buf, envelope->round_no);
    buf_u32(&buf, envelope->attempt);
    buf_u32(&buf, envelope->sender);
    buf_u64(&buf, envelope->sequence);
    buf_bytes(&buf, envelope->transcript, sizeof envelope->transcript);
    buf_u64(&buf, envelope->roster_epoch);
    buf_u32(&buf, (uint32_t)body_len);
    buf_bytes(&buf, body, body_len);
    sign_make(message + sizeof context + record_len, message, sizeof context + record_len,
              secret_key);
    *len = record_len + SIGN_BYTES;
    memmove(message, message + sizeof context, *len);
    *bytes = message;
    return CHOIR_OK;
}

static enum choir_err get_head(struct view *view, struct envelope *envelope, size_t *body_len)
{
    char found[sizeof magic];

    view_bytes(view, found, sizeof found);
    if (memcmp(found, magic, sizeof magic) != 0 || view_u16(view) != VERSION)
        return CHOIR_ERR_FORMAT;
    envelope->kind = view_u16(view);
    view_bytes(view, envelope->run, sizeof envelope->run);
    envelope->round_no = view_u64(view);
    envelope->attempt = view_u32(view);
    envelope->sender = view_u32(view);
    envelope->sequence = view_u64(view);
    view_bytes(view, envelope->transcript, sizeof envelope->transcript);
    envelope->roster_epoch = view_u64(view);
    *body_len = view_u32(view);
    if (view->failed || !message_is_control(envelope->kind) ||
        *body_len > message_body_max(envelope->kind) || view->left != *body_len)
        return CHOIR_ERR_FORMAT;
    return CHOIR_OK;
}

static enum choir_err check_signature(const uint8_t *bytes, size_t len, const uint8_t *key)
{
    size_t record_len = len - SIGN_BYTES;
    uint8_t *message = message_new(record_len);
    enum choir_err err;

    if (message == NULL)
        return CHOIR_ERR_MEMORY;
    memcpy(message + sizeof context, bytes, record_len);
    err = sign_check(bytes + record_len, message, sizeof context + record_len, key);
    free(message);
    return err;
}

enum choir_err envelope_peek(const uint8_t *bytes, size_t len, struct envelope *envelope,
                             const uint8_t **body, size_t *body_len)
{
    struct envelope found = {0};
    size_t found_len = 0;
    struct view view;
    enum choir_err err;

    if (len < ENVELOPE_HEAD_BYTES + SIGN_BYTES || len > ENVELOPE_BYTES_MAX)
        return CHOIR_ERR_FORMAT;
    view = view_over(bytes, len - SIGN_BYTES);
    err = get_head(&view, &found, &found_len);
    if (err != CHOIR_OK)
        return err;
    *envelope = found;
    *body = view.at;
    *body_len = found_len;
    return CHOIR_OK;
}

enum choir_err envelope_open(const uint8_t *bytes, size_t len, const struct roster *roster,
                             struct envelope *envelope, const uint8_t **body, size_t *body_len)
{
    struct envelope found;
    const uint8_t *key, *found_body;
    size_t found_len;
    enum choir_err err = envelope_peek(bytes, len, &found, &found_body, &found_len);

    if (err != CHOIR_OK)
        return err;
    key = roster_sign_key(roster, found.sender);
    if (key == NULL)
        return CHOIR_ERR_MISSING;
    err = check_signature(bytes, len, key);
    if (err != CHOIR_OK)
        return err;
    if (found.roster_epoch != roster->epoch)
        return CHOIR_ERR_REFUSED;
    *envelope = found;
    *body = found_body;
    *body_len = found_len;
    return CHOIR_OK;
}
