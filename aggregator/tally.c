#include "aggregator/tally.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/merge.h"
#include "base/file.h"

void tally_init(struct tally *tally)
{
    *tally = (struct tally){.fd = -1};
}

void tally_release(struct tally *tally)
{
    source_free(tally->source);
    if (tally->fd >= 0)
        close(tally->fd);
    tally_init(tally);
}

// The layout of vectors of `bytes`: their segments are all that matters here.
static enum choir_err layout_of(const struct relay_letter *sum, struct quantize_layout *layout)
{
    uint64_t lanes = sum->bytes / (sum->lane_bits / 8);
    uint64_t segments = (lanes + QUANTIZE_SEGMENT_LANES - 1) / QUANTIZE_SEGMENT_LANES;
    enum choir_err err =
        quantize_layout_make((size_t)(lanes - segments), sum->lane_bits, 1, 1.0, layout);

    return err == CHOIR_OK && layout->n_bytes == sum->bytes ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

// Opens a vector and reads it once: what is on disk may not be what came in.
static enum choir_err open_vector(const struct intake *intake, const struct relay_vector *vector,
                                  uint64_t bytes, int *fd)
{
    struct source *source = NULL;
    enum choir_err err = intake_file(intake, vector->site, vector->root, fd);

    if (err != CHOIR_OK)
        return err;
    err = source_of_fd(vector->root, *fd, &source);
    if (err == CHOIR_OK && (source_bytes(source) != bytes ||
                            memcmp(source_root(source), vector->root, HASH_BYTES) != 0))
        err = CHOIR_ERR_MISSING;
    source_free(source);
    if (err != CHOIR_OK)
        close(*fd);
    return err == CHOIR_ERR_FORMAT ? CHOIR_ERR_MISSING : err; // an empty file
}

/* Where the sum is written: each segment in its place, by any thread. */
struct place {
    const struct quantize_layout *layout;
    int fd;
};

static enum choir_err write_segment(void *context, size_t worker, size_t segment,
                                    const uint8_t *total, size_t len)
{
    const struct place *place = context;

    (void)worker;
    return file_write_at(place->fd, quantize_segment_offset(place->layout, segment), total, len);
}

static enum choir_err add_up(const struct quantize_layout *layout, const int *fds, size_t n, int to)
{
    struct merge_files files = {.fds = fds};
    struct place place = {.layout = layout, .fd = to};
    const struct merge_job job = {
        .layout = layout,
        .source = {.read = merge_read_files, .context = &files, .n = n},
        .threads = merge_threads(),
        .take = write_segment,
        .context = &place,
    };
    struct choir_diag diag;
    uint8_t hash[HASH_BYTES];

    return merge_run(&job, hash, &diag);
}

static int open_unnamed(int folder)
{
    static const char name[] = "sum.tmp";
    int fd = openat(folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0)
        unlinkat(folder, name, 0);
    return fd;
}

// A source whose id is its root.
static enum choir_err serve(struct tally *tally)
{
    const uint8_t no_id[HASH_BYTES] = {0};
    struct source *found = NULL;
    enum choir_err err = source_of_fd(no_id, tally->fd, &found);

    if (err == CHOIR_OK)
        err = source_of_leaves(source_root(found), tally->fd, source_bytes(found),
                               source_leaves(found), &tally->source);
    source_free(found);
    return err;
}

enum choir_err tally_make(struct tally *tally, const struct intake *intake, int folder,
                          const struct relay_letter *sum, uint32_t *site)
{
    struct tally made;
    struct quantize_layout layout;
    int fds[MESSAGE_SITES_MAX];
    size_t n = 0;
    enum choir_err err = layout_of(sum, &layout);

    tally_init(&made);
    for (; err == CHOIR_OK && n < sum->n; n += err == CHOIR_OK) {
        err = open_vector(intake, &sum->vector[n], sum->bytes, &fds[n]);
        if (err == CHOIR_ERR_MISSING)
            *site = sum->vector[n].site;
    }
    if (err == CHOIR_OK) {
        made.fd = open_unnamed(folder);
        err = made.fd < 0 ? CHOIR_ERR_IO : add_up(&layout, fds, n, made.fd);
    }
    while (n > 0)
        close(fds[--n]);
    if (err == CHOIR_OK)
        err = serve(&made);
    if (err != CHOIR_OK) {
        tally_release(&made);
        return err;
    }
    tally_release(tally);
    *tally = made;
    return CHOIR_OK;
}
