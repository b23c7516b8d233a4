#include "train/textfile.h"

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

struct textfile {
    int fd;
    off_t offset;
    enum choir_err result;
    bool packed, file_ended;
    bool in_member; // between the first byte of a gzip member and its check sum
    z_stream gzip;
    uint8_t *at, *end; // what textfile_byte() has not handed out yet
    uint8_t text[PIECE_BYTES], file[PIECE_BYTES];
};

static size_t read_piece(struct textfile *textfile, uint8_t *to)
{
    ssize_t got;

    do {
        got = pread(textfile->fd, to, PIECE_BYTES, textfile->offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        textfile->result = CHOIR_ERR_IO;
    if (got <= 0) {
        textfile->file_ended = true;
        return 0;
    }
    textfile->offset += got;
    return (size_t)got;
}

static void fill_plain(struct textfile *textfile)
{
    textfile->at = textfile->text;
    textfile->end = textfile->text + read_piece(textfile, textfile->text);
}

// Once per call: more input if there is none, then one inflate().
static void inflate_some(struct textfile *textfile)
{
    int status;

    if (textfile->gzip.avail_in == 0) {
        textfile->gzip.next_in = textfile->file;
        textfile->gzip.avail_in = (uInt)read_piece(textfile, textfile->file);
        if (textfile->gzip.avail_in == 0) {
            if (textfile->in_member && textfile->result == CHOIR_OK)
                textfile->result = CHOIR_ERR_FORMAT;
            return;
        }
    }
    if (!textfile->in_member && inflateReset(&textfile->gzip) != Z_OK) {
        textfile->result = CHOIR_ERR_FORMAT;
        return;
    }
    textfile->in_member = true;
    status = inflate(&textfile->gzip, Z_NO_FLUSH);
    if (status == Z_STREAM_END)
        textfile->in_member = false;
    else if (status != Z_OK)
        textfile->result = status == Z_MEM_ERROR ? CHOIR_ERR_MEMORY : CHOIR_ERR_FORMAT;
}

static void fill_packed(struct textfile *textfile)
{
    textfile->gzip.next_out = textfile->text;
    textfile->gzip.avail_out = PIECE_BYTES;
    while (textfile->gzip.avail_out == PIECE_BYTES && textfile->result == CHOIR_OK &&
           !(textfile->file_ended && textfile->gzip.avail_in == 0))
        inflate_some(textfile);
    textfile->at = textfile->text;
    textfile->end = textfile->text + (PIECE_BYTES - textfile->gzip.avail_out);
}

enum choir_err textfile_open(int fd, struct textfile **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct textfile *textfile = calloc(1, sizeof *textfile);

    if (textfile == NULL)
        return CHOIR_ERR_MEMORY;
    textfile->fd = fd;
    fill_plain(textfile);
    err = textfile->result;
    if (err == CHOIR_OK && textfile->end - textfile->at >= 2 && textfile->at[0] == 0x1f &&
        textfile->at[1] == 0x8b) {
        textfile->packed = true;
        textfile->offset = 0;
        textfile->file_ended = false;
        textfile->end = textfile->at;
        if (inflateInit2(&textfile->gzip, GZIP_WINDOW) != Z_OK) {
            textfile->packed = false;
            err = CHOIR_ERR_MEMORY;
        }
    }
    if (err != CHOIR_OK) {
        textfile_close(textfile);
        return err;
    }
    *out = textfile;
    return CHOIR_OK;
}

void textfile_close(struct textfile *textfile)
{
    if (textfile == NULL)
        return;
    if (textfile->packed)
        (void)inflateEnd(&textfile->gzip);
    rng_wipe(textfile->text, sizeof textfile->text);
    rng_wipe(textfile->file, sizeof textfile->file);
    free(textfile);
}

int textfile_byte(struct textfile *textfile)
{
    if (textfile->at == textfile->end) {
        if (textfile->result != CHOIR_OK)
            return -1;
        if (textfile->packed)
            fill_packed(textfile);
        else
            fill_plain(textfile);
        if (textfile->at == textfile->end)
            return -1;
    }
    return *textfile->at++;
}

enum choir_err textfile_result(const struct textfile *textfile)
{
    return textfile->result;
}
