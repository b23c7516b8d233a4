#include "wire/bulk.h"

#include <assert.h>

#include "base/buf.h"

enum { VERSION = 1 };

uint32_t bulk_chunks(uint64_t bytes)
{
    return (uint32_t)(bytes / BULK_CHUNK_BYTES + (bytes % BULK_CHUNK_BYTES != 0));
}

// A payload that was read into its place in the message is not copied.
static void put_payload(struct buf *buf, const uint8_t *payload, size_t len)
{
    if (payload != buf->at + buf->len)
        buf_bytes(buf, payload, len);
    else if (buf->max - buf->len >= len)
        buf->len += len;
    else
        buf->failed = true;
}

void bulk_encode(const struct bulk_message *message, uint8_t *to, size_t max, size_t *len)
{
    struct buf buf = buf_over(to, max);

    buf_u8(&buf, VERSION);
    buf_u8(&buf, (uint8_t)message->kind);
    buf_u16(&buf, 0);
    buf_bytes(&buf, message->id, sizeof message->id);
    switch (message->kind) {
    case BULK_FETCH:
    case BULK_DONE:
        break;
    case BULK_OPEN:
        buf_u64(&buf, message->bytes);
        buf_u32(&buf, BULK_CHUNK_BYTES);
        buf_bytes(&buf, message->root, sizeof message->root);
        break;
    case BULK_LEAVES:
        buf_u32(&buf, message->first);
        buf_u32(&buf, message->n);
        put_payload(&buf, message->payload, (size_t)message->n * HASH_BYTES);
        break;
    case BULK_ASK:
        buf_u32(&buf, message->first);
        break;
    case BULK_NEED:
        buf_u32(&buf, message->first);
        buf_u64(&buf, message->bitmap);
        break;
    case BULK_DATA:
        buf_u32(&buf, message->first);
        buf_u32(&buf, message->n);
        put_payload(&buf, message->payload, message->n);
        break;
    case BULK_REFUSED:
        buf_u16(&buf, message->code);
        break;
    }
    assert(buf_ok(&buf));
    *len = buf.len;
}

static bool get_open(struct view *view, struct bulk_message *message)
{
    message->bytes = view_u64(view);
    if (view_u32(view) != BULK_CHUNK_BYTES)
        return false;
    view_bytes(view, message->root, sizeof message->root);
    return message->bytes >= 1 && message->bytes <= BULK_CONTENT_MAX;
}

static bool get_leaves(struct view *view, struct bulk_message *message)
{
    message->first = view_u32(view);
    message->n = view_u32(view);
    if (message->n < 1 || message->n > BULK_LEAVES_MAX || message->first >= BULK_CHUNKS_MAX ||
        message->n > BULK_CHUNKS_MAX - message->first)
        return false;
    message->payload = view_take(view, (size_t)message->n * HASH_BYTES);
    return true;
}

static bool get_need(struct view *view, struct bulk_message *message)
{
    message->first = view_u32(view);
    message->bitmap = view_u64(view);
    return message->first < BULK_CHUNKS_MAX && message->bitmap != 0;
}

static bool get_data(struct view *view, struct bulk_message *message)
{
    message->first = view_u32(view);
    message->n = view_u32(view);
    if (message->first >= BULK_CHUNKS_MAX || message->n < 1 || message->n > BULK_CHUNK_BYTES)
        return false;
    message->payload = view_take(view, message->n);
    return true;
}

static bool get_fields(struct view *view, struct bulk_message *message)
{
    switch (message->kind) {
    case BULK_FETCH:
    case BULK_DONE:
        return true;
    case BULK_OPEN:
        return get_open(view, message);
    case BULK_LEAVES:
        return get_leaves(view, message);
    case BULK_ASK:
        message->first = view_u32(view);
        return message->first < BULK_CHUNKS_MAX;
    case BULK_NEED:
        return get_need(view, message);
    case BULK_DATA:
        return get_data(view, message);
    case BULK_REFUSED:
        message->code = view_u16(view);
        return message->code >= BULK_UNKNOWN && message->code <= BULK_FAILED;
    }
    return false;
}

enum choir_err bulk_decode(const uint8_t *bytes, size_t len, struct bulk_message *message)
{
    struct bulk_message found = {0};
    struct view view = view_over(bytes, len);
    uint8_t kind;

    if (view_u8(&view) != VERSION)
        return CHOIR_ERR_FORMAT;
    kind = view_u8(&view);
    if (view_u16(&view) != 0 || kind < BULK_FETCH || kind > BULK_REFUSED)
        return CHOIR_ERR_FORMAT;
    found.kind = (enum bulk_kind)kind;
    view_bytes(&view, found.id, sizeof found.id);
    if (!get_fields(&view, &found) || !view_done(&view))
        return CHOIR_ERR_FORMAT;
    *message = found;
    return CHOIR_OK;
}
