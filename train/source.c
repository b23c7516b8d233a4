#include "train/source.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <zlib.h>

#include "crypto/rng.h"

enum {
    PIECE_BYTES = 64 << 10,
    GZIP_WINDOW = 15 + 16, // zlib: the largest window, gzip framing only
};

struct source {
    int fd;
    off_t offset;
    enum choir_err result;
    bool packed, file_ended;
    bool in_member; // between the first byte of a gzip member and its check sum
    z_stream gzip;
    uint8_t *at, *end; // what source_byte() has not handed out yet
    uint8_t text[PIECE_BYTES], file[PIECE_BYTES];
};

static size_t read_piece(struct source *source, uint8_t *to)
{
    ssize_t got;

    do {
        got = pread(source->fd, to, PIECE_BYTES, source->offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        source->result = CHOIR_ERR_IO;
    if (got <= 0) {
        source->file_ended = true;
        return 0;
    }
    source->offset += got;
    return (size_t)got;
}

static void fill_plain(struct source *source)
{
    source->at = source->text;
    source->end = source->text + read_piece(source, source->text);
}

// Once per call: more input if there is none, then one inflate().
static void inflate_some(struct source *source)
{
    int status;

    if (source->gzip.avail_in == 0) {
        source->gzip.next_in = source->file;
        source->gzip.avail_in = (uInt)read_piece(source, source->file);
        if (source->gzip.avail_in == 0) {
            if (source->in_member && source->result == CHOIR_OK)
                source->result = CHOIR_ERR_FORMAT;
            return;
        }
    }
    if (!source->in_member && inflateReset(&source->gzip) != Z_OK) {
        source->result = CHOIR_ERR_FORMAT;
        return;
    }
    source->in_member = true;
    status = inflate(&source->gzip, Z_NO_FLUSH);
    if (status == Z_STREAM_END)
        source->in_member = false;
    else if (status != Z_OK)
        source->result = status == Z_MEM_ERROR ? CHOIR_ERR_MEMORY : CHOIR_ERR_FORMAT;
}

static void fill_packed(struct source *source)
{
    source->gzip.next_out = source->text;
    source->gzip.avail_out = PIECE_BYTES;
    while (source->gzip.avail_out == PIECE_BYTES && source->result == CHOIR_OK &&
           !(source->file_ended && source->gzip.avail_in == 0))
        inflate_some(source);
    source->at = source->text;
    source->end = source->text + (PIECE_BYTES - source->gzip.avail_out);
}

enum choir_err source_open(int fd, struct source **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return CHOIR_ERR_MEMORY;
    source->fd = fd;
    fill_plain(source);
    err = source->result;
    if (err == CHOIR_OK && source->end - source->at >= 2 && source->at[0] == 0x1f &&
        source->at[1] == 0x8b) {
        source->packed = true;
        source->offset = 0;
        source->file_ended = false;
        source->end = source->at;
        if (inflateInit2(&source->gzip, GZIP_WINDOW) != Z_OK) {
            source->packed = false;
            err = CHOIR_ERR_MEMORY;
        }
    }
    if (err != CHOIR_OK) {
        source_close(source);
        return err;
    }
    *out = source;
    return CHOIR_OK;
}

void source_close(struct source *source)
{
    if (source == NULL)
        return;
    if (source->packed)
        (void)inflateEnd(&source->gzip);
    rng_wipe(source->text, sizeof source->text);
    rng_wipe(source->file, sizeof source->file);
    free(source);
}

int source_byte(struct source *source)
{
    if (source->at == source->end) {
        if (source->result != CHOIR_OK)
            return -1;
        if (source->packed)
            fill_packed(source);
        else
            fill_plain(source);
        if (source->at == source->end)
            return -1;
    }
    return *source->at++;
}

enum choir_err source_result(const struct source *source)
{
    return source->result;
}
