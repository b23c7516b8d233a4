#include "fake.h"

#include "base/buf.h"

size_t fake_seal(const struct incoming *message, uint64_t sequence, uint8_t *to, size_t max)
{
    struct buf buf = buf_over(to, max);

    buf_u16(&buf, message->kind);
    buf_bytes(&buf, message->run, sizeof message->run);
    buf_u64(&buf, message->round);
    buf_u32(&buf, message->attempt);
    buf_u32(&buf, message->sender);
    buf_u64(&buf, sequence);
    buf_bytes(&buf, message->transcript, sizeof message->transcript);
    buf_bytes(&buf, message->body, message->body_len);
    return buf_ok(&buf) ? buf.len : 0;
}

enum choir_err fake_open(const void *context, const uint8_t *bytes, size_t len,
                         struct incoming *out)
{
    struct view view = view_over(bytes, len);

    (void)context;
    out->kind = view_u16(&view);
    view_bytes(&view, out->run, sizeof out->run);
    out->round = view_u64(&view);
    out->attempt = view_u32(&view);
    out->sender = view_u32(&view);
    (void)view_u64(&view);
    view_bytes(&view, out->transcript, sizeof out->transcript);
    out->body_len = view.left;
    out->body = view_take(&view, view.left);
    out->signed_bytes = bytes;
    out->signed_len = len;
    return view_done(&view) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}
