#include "round/transcript.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { LABEL_BYTES = 11 }; // "CHOIR-SA1/n"

static void label(uint8_t at[static LABEL_BYTES], unsigned step)
{
    put_bytes(at, "CHOIR-SA1/", LABEL_BYTES - 1);
    at[LABEL_BYTES - 1] = (uint8_t)('0' + step);
}

enum choir_err transcript_open(uint8_t r0[static HASH_BYTES],
                               const uint8_t roster_hash[static HASH_BYTES], const uint8_t *body,
                               size_t body_len)
{
    uint8_t start[LABEL_BYTES + HASH_BYTES];
    struct hash_stream *stream = NULL;
    enum choir_err err = hash_new(&stream);

    if (err != CHOIR_OK)
        return err;
    label(start, 0);
    put_bytes(start + LABEL_BYTES, roster_hash, HASH_BYTES);
    hash_add(stream, start, sizeof start);
    hash_add(stream, body, body_len);
    hash_end(stream, r0);
    hash_free(stream);
    return CHOIR_OK;
}

enum choir_err transcript_next(uint8_t r[static HASH_BYTES], unsigned step,
                               const uint8_t before[static HASH_BYTES], const struct said *said)
{
    uint8_t start[LABEL_BYTES + HASH_BYTES];
    struct hash_stream *stream = NULL;
    enum choir_err err;

    assert(step >= 1 && step <= 3);
    err = hash_new(&stream);
    if (err != CHOIR_OK)
        return err;
    label(start, step);
    put_bytes(start + LABEL_BYTES, before, HASH_BYTES);
    hash_add(stream, start, sizeof start);
    for (size_t i = 0; i < said->n; i++) {
        uint8_t item[4 + HASH_BYTES];

        put_bytes(put_u32(item, said->id[i]), said->hash[i], HASH_BYTES);
        hash_add(stream, item, sizeof item);
    }
    hash_end(stream, r);
    hash_free(stream);
    return CHOIR_OK;
}
