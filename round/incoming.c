#include "round/incoming.h"

#include <string.h>

#include "wire/envelope.h"

static void fill(const struct envelope *envelope, const uint8_t *bytes, size_t len,
                 struct incoming *out)
{
    out->kind = envelope->kind;
    memcpy(out->run, envelope->run, sizeof out->run);
    out->round = envelope->round_no;
    out->attempt = envelope->attempt;
    out->sender = envelope->sender;
    memcpy(out->transcript, envelope->transcript, sizeof out->transcript);
    out->signed_bytes = bytes;
    out->signed_len = len;
}

enum choir_err incoming_open_signed(const void *roster, const uint8_t *bytes, size_t len,
                                    struct incoming *out)
{
    struct envelope envelope;
    enum choir_err err = envelope_open(bytes, len, roster, &envelope, &out->body, &out->body_len);

    if (err == CHOIR_OK)
        fill(&envelope, bytes, len, out);
    return err;
}

enum choir_err incoming_peek(const void *context, const uint8_t *bytes, size_t len,
                             struct incoming *out)
{
    struct envelope envelope;
    enum choir_err err = envelope_peek(bytes, len, &envelope, &out->body, &out->body_len);

    (void)context;
    if (err == CHOIR_OK)
        fill(&envelope, bytes, len, out);
    return err;
}
