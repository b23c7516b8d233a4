#include "base/buf.h"

#include <string.h>

#include "base/bytes.h"

struct buf buf_over(uint8_t *memory, size_t max)
{
    return (struct buf){.at = memory, .max = max};
}

// The next `len` bytes to write, or NULL once the buffer has failed or is full.
static uint8_t *room(struct buf *buf, size_t len)
{
    uint8_t *to;

    if (buf->failed || buf->max - buf->len < len) {
        buf->failed = true;
        return NULL;
    }
    to = buf->at + buf->len;
    buf->len += len;
    return to;
}

void buf_u8(struct buf *buf, uint8_t value)
{
    buf_bytes(buf, &value, 1);
}

void buf_u16(struct buf *buf, uint16_t value)
{
    uint8_t *to = room(buf, 2);

    if (to != NULL)
        put_u16(to, value);
}

void buf_u32(struct buf *buf, uint32_t value)
{
    uint8_t *to = room(buf, 4);

    if (to != NULL)
        put_u32(to, value);
}

void buf_u64(struct buf *buf, uint64_t value)
{
    uint8_t *to = room(buf, 8);

    if (to != NULL)
        put_u64(to, value);
}

void buf_f64(struct buf *buf, double value)
{
    uint8_t *to = room(buf, 8);

    if (to != NULL)
        put_f64(to, value);
}

void buf_bytes(struct buf *buf, const void *from, size_t len)
{
    uint8_t *to = room(buf, len);

    if (to != NULL)
        put_bytes(to, from, len);
}

void buf_text(struct buf *buf, const char *text)
{
    size_t len = strlen(text);

    if (len > UINT16_MAX) {
        buf->failed = true;
        return;
    }
    buf_u16(buf, (uint16_t)len);
    buf_bytes(buf, text, len);
}

bool buf_ok(const struct buf *buf)
{
    return !buf->failed;
}

struct view view_over(const uint8_t *memory, size_t len)
{
    return (struct view){.at = memory, .left = len};
}

const uint8_t *view_take(struct view *view, size_t len)
{
    const uint8_t *from = view->at;

    if (view->failed || view->left < len) {
        view->failed = true;
        return NULL;
    }
    view->at += len;
    view->left -= len;
    return from;
}

uint8_t view_u8(struct view *view)
{
    const uint8_t *from = view_take(view, 1);

    return from == NULL ? 0 : from[0];
}

uint16_t view_u16(struct view *view)
{
    const uint8_t *from = view_take(view, 2);

    return from == NULL ? 0 : get_u16(from);
}

uint32_t view_u32(struct view *view)
{
    const uint8_t *from = view_take(view, 4);

    return from == NULL ? 0 : get_u32(from);
}

uint64_t view_u64(struct view *view)
{
    const uint8_t *from = view_take(view, 8);

    return from == NULL ? 0 : get_u64(from);
}

double view_f64(struct view *view)
{
    const uint8_t *from = view_take(view, 8);

    return from == NULL ? 0.0 : get_f64(from);
}

void view_bytes(struct view *view, void *to, size_t len)
{
    const uint8_t *from = view_take(view, len);

    if (from == NULL)
        memset(to, 0, len);
    else
        put_bytes(to, from, len);
}

void view_text(struct view *view, char *to, size_t max)
{
    size_t len = view_u16(view);
    const uint8_t *from = len < max ? view_take(view, len) : NULL;

    to[0] = '\0';
    if (from == NULL || memchr(from, 0, len) != NULL) {
        view->failed = true;
        return;
    }
    memcpy(to, from, len);
    to[len] = '\0';
}

bool view_done(const struct view *view)
{
    return !view->failed && view->left == 0;
}
