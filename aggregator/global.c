#include "aggregator/global.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/hex.h"
#include "privacy/quantize.h"
#include "train/model.h"
#include "train/server.h"
#include "train/snapshot.h"

enum { NAME_MAX_BYTES = 2 * HASH_BYTES + 16, SEGMENT_BYTES_MAX = QUANTIZE_SEGMENT_LANES * 4 };

struct global {
    const struct plan *plan;
    int folder;
    struct quantize_layout layout;
    struct server *server;
    float *params;
    uint8_t hash[HASH_BYTES];
    // workspaces of a merge, one segment each
    uint8_t *total, *part;
    double *values;
    float *mean;
};

enum choir_err global_open(const char *folder, const struct plan *plan, struct global **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct global *global = calloc(1, sizeof *global);

    if (global == NULL)
        return err;
    global->plan = plan;
    global->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (global->folder < 0) {
        err = CHOIR_ERR_IO;
        goto out;
    }
    err = quantize_layout_make(plan->n_params, plan->update.lane_bits, (uint32_t)plan->n_sites,
                               plan->update.clip_norm, &global->layout);
    if (err != CHOIR_OK)
        goto out;
    err = server_new(&plan->server, plan->n_params, &global->server);
    if (err != CHOIR_OK)
        goto out;
    err = CHOIR_ERR_MEMORY;
    global->params = calloc(plan->n_params, sizeof *global->params);
    global->total = malloc(SEGMENT_BYTES_MAX);
    global->part = malloc(SEGMENT_BYTES_MAX);
    global->values = calloc(QUANTIZE_SEGMENT_VALUES, sizeof *global->values);
    global->mean = calloc(QUANTIZE_SEGMENT_VALUES, sizeof *global->mean);
    if (global->params == NULL || global->total == NULL || global->part == NULL ||
        global->values == NULL || global->mean == NULL)
        goto out;
    *out = global;
    global = NULL;
    err = CHOIR_OK;
out:
    global_close(global);
    return err;
}

void global_close(struct global *global)
{
    if (global == NULL)
        return;
    if (global->folder >= 0)
        close(global->folder);
    server_free(global->server);
    free(global->params);
    free(global->total);
    free(global->part);
    free(global->values);
    free(global->mean);
    free(global);
}

const uint8_t *global_hash(const struct global *global)
{
    return global->hash;
}

const float *global_params(const struct global *global)
{
    return global->params;
}

uint64_t global_update_bytes(const struct global *global)
{
    return global->layout.n_bytes;
}

static void file_name(char name[static NAME_MAX_BYTES], const uint8_t hash[static HASH_BYTES],
                      const char *kind)
{
    hex_put(name, hash, HASH_BYTES);
    snprintf(name + 2 * (size_t)HASH_BYTES, NAME_MAX_BYTES - 2 * (size_t)HASH_BYTES, "%s", kind);
}

enum choir_err global_file(const struct global *global, const uint8_t hash[static HASH_BYTES],
                           int *fd)
{
    char name[NAME_MAX_BYTES];

    file_name(name, hash, ".model");
    *fd = openat(global->folder, name, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT ? CHOIR_ERR_MISSING : CHOIR_ERR_IO;
    return CHOIR_OK;
}

// The optimiser's state is written first: a model file without it is never looked at.
static enum choir_err save_server(struct global *global, const uint8_t hash[static HASH_BYTES])
{
    char name[NAME_MAX_BYTES];
    enum choir_err err;
    size_t len = server_state_len(global->server);
    uint8_t *state = malloc(len + 1);

    if (state == NULL)
        return CHOIR_ERR_MEMORY;
    server_save(global->server, state);
    file_name(name, hash, ".server");
    err = file_replace(global->folder, name, 0600, state, len);
    free(state);
    return err;
}

static enum choir_err write_snapshot(struct global *global, int fd, uint64_t round_no,
                                     uint8_t hash[static HASH_BYTES])
{
    uint8_t head[SNAPSHOT_HEAD_BYTES];
    struct hash_stream *stream = NULL;
    enum choir_err err = hash_new(&stream);

    if (err != CHOIR_OK)
        return err;
    snapshot_head(head, global->plan->hash, round_no, global->plan->n_params);
    hash_add(stream, head, sizeof head);
    err = file_write(fd, head, sizeof head);
    for (size_t first = 0; err == CHOIR_OK && first < global->plan->n_params;) {
        size_t count = global->plan->n_params - first;

        if (count > SEGMENT_BYTES_MAX / 4)
            count = SEGMENT_BYTES_MAX / 4;
        snapshot_put(global->part, global->params + first, count);
        hash_add(stream, global->part, 4 * count);
        err = file_write(fd, global->part, 4 * count);
        first += count;
    }
    hash_end(stream, hash);
    hash_free(stream);
    if (err == CHOIR_OK && fsync(fd) != 0)
        err = CHOIR_ERR_IO;
    return err;
}

// Makes the file of the parameters as they are now; on success its hash is the current one.
static enum choir_err save(struct global *global, uint64_t round_no)
{
    static const char temporary[] = "new.model.tmp";
    char name[NAME_MAX_BYTES];
    uint8_t hash[HASH_BYTES];
    enum choir_err err;
    int fd = openat(global->folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return CHOIR_ERR_IO;
    err = write_snapshot(global, fd, round_no, hash);
    if (close(fd) != 0 && err == CHOIR_OK)
        err = CHOIR_ERR_IO;
    if (err == CHOIR_OK)
        err = save_server(global, hash);
    if (err != CHOIR_OK)
        return err;
    file_name(name, hash, ".model");
    if (renameat(global->folder, temporary, global->folder, name) != 0 ||
        fsync(global->folder) != 0)
        return CHOIR_ERR_IO;
    memcpy(global->hash, hash, HASH_BYTES);
    return CHOIR_OK;
}

enum choir_err global_init(struct global *global)
{
    enum choir_err err = model_init(&global->plan->model, global->params);

    return err != CHOIR_OK ? err : save(global, 0);
}

static enum choir_err load_server(struct global *global, const uint8_t hash[static HASH_BYTES])
{
    char name[NAME_MAX_BYTES];
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err;
    int fd;

    file_name(name, hash, ".server");
    fd = openat(global->folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return CHOIR_ERR_MISSING;
    err = file_read_fd(fd, server_state_len(global->server), &bytes, &len);
    close(fd);
    if (err == CHOIR_OK)
        err = server_load(global->server, bytes, len);
    free(bytes);
    return err;
}

enum choir_err global_load(struct global *global, const uint8_t hash[static HASH_BYTES])
{
    uint8_t actual[HASH_BYTES];
    uint8_t *bytes = NULL;
    uint64_t round_no = 0;
    size_t len = 0;
    int fd = -1;
    enum choir_err err = global_file(global, hash, &fd);

    if (err != CHOIR_OK)
        return err;
    err = file_read_fd(fd, snapshot_len(global->plan->n_params), &bytes, &len);
    close(fd);
    if (err != CHOIR_OK)
        return err;
    hash_bytes(actual, bytes, len);
    if (memcmp(actual, hash, HASH_BYTES) != 0)
        err = CHOIR_ERR_FORGED;
    if (err == CHOIR_OK)
        err = snapshot_get(bytes, len, global->plan->hash, global->plan->n_params, global->params,
                           &round_no);
    free(bytes);
    if (err == CHOIR_OK)
        err = load_server(global, hash);
    if (err == CHOIR_OK)
        memcpy(global->hash, hash, HASH_BYTES);
    return err;
}

static enum choir_err read_segment(int fd, uint8_t *to, size_t len, size_t offset)
{
    while (len > 0) {
        ssize_t got = pread(fd, to, len, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CHOIR_ERR_IO;
        to += got;
        len -= (size_t)got;
        offset += (size_t)got;
    }
    return CHOIR_OK;
}

enum choir_err global_check_update(struct global *global, int fd)
{
    enum choir_err err = CHOIR_OK;

    for (size_t segment = 0; err == CHOIR_OK && segment < global->layout.n_segments; segment++) {
        err = read_segment(fd, global->part, quantize_segment_bytes(&global->layout, segment),
                           quantize_segment_offset(&global->layout, segment));
        if (err == CHOIR_OK)
            err =
                quantize_decode_segment(&global->layout, segment, global->part, 1, global->values);
    }
    return err;
}

// streams: one for each site, or NULL if nobody wants to know what came in.
static enum choir_err sum_segment(struct global *global, size_t segment, const int *fds, size_t n,
                                  struct hash_stream **streams)
{
    size_t len = quantize_segment_bytes(&global->layout, segment);
    size_t offset = quantize_segment_offset(&global->layout, segment);

    memset(global->total, 0, len);
    for (size_t i = 0; i < n; i++) {
        enum choir_err err = read_segment(fds[i], global->part, len, offset);

        if (err != CHOIR_OK)
            return err;
        if (streams != NULL)
            hash_add(streams[i], global->part, len);
        quantize_add(global->layout.lane_bits, global->total, global->part, len);
    }
    return CHOIR_OK;
}

static enum choir_err step_segment(struct global *global, size_t segment, size_t n,
                                   double weight_sum)
{
    size_t first = quantize_segment_first(&global->layout, segment);
    size_t count = quantize_segment_values(&global->layout, segment);
    enum choir_err err = quantize_decode_segment(&global->layout, segment, global->total,
                                                 (uint32_t)n, global->values);

    if (err != CHOIR_OK)
        return err;
    for (size_t i = 0; i < count; i++)
        global->mean[i] = (float)(global->values[i] / weight_sum);
    return server_step_range(global->server, first, count, global->params + first, global->mean);
}

static enum choir_err add_up(struct global *global, const int *fds, size_t n, double weight_sum,
                             struct hash_stream *stream, struct hash_stream **streams,
                             struct choir_diag *diag)
{
    for (size_t segment = 0; segment < global->layout.n_segments; segment++) {
        char place[64];
        enum choir_err err = sum_segment(global, segment, fds, n, streams);

        snprintf(place, sizeof place, "segment %zu of %zu", segment + 1, global->layout.n_segments);
        if (err != CHOIR_OK)
            return diag_set(diag, err, place, "an upload could not be read");
        hash_add(stream, global->total, quantize_segment_bytes(&global->layout, segment));
        err = step_segment(global, segment, n, weight_sum);
        if (err != CHOIR_OK)
            return diag_set(diag, err, place, "the sum does not count %zu sites or is out of range",
                            n);
    }
    return CHOIR_OK;
}

static void free_streams(struct hash_stream **streams, size_t n)
{
    for (size_t i = 0; streams != NULL && i < n; i++)
        hash_free(streams[i]);
    free(streams);
}

static enum choir_err new_streams(size_t n, struct hash_stream ***out)
{
    enum choir_err err = CHOIR_OK;
    struct hash_stream **streams =
        calloc(n, sizeof(struct hash_stream *)); // NOLINT(bugprone-sizeof-expression)

    if (streams == NULL)
        return CHOIR_ERR_MEMORY;
    for (size_t i = 0; err == CHOIR_OK && i < n; i++)
        err = hash_new(&streams[i]);
    if (err == CHOIR_OK)
        *out = streams;
    else
        free_streams(streams, n);
    return err;
}

// The sum, and the optimiser's step along it, in memory.
static enum choir_err move(struct global *global, const int *fds, size_t n, double weight_sum,
                           uint8_t sum_hash[static HASH_BYTES], uint8_t (*digests)[HASH_BYTES],
                           struct choir_diag *diag)
{
    struct hash_stream *stream = NULL, **streams = NULL;
    enum choir_err err = hash_new(&stream);

    if (err == CHOIR_OK && digests != NULL)
        err = new_streams(n, &streams);
    if (err == CHOIR_OK)
        err = add_up(global, fds, n, weight_sum, stream, streams, diag);
    if (err == CHOIR_OK)
        hash_end(stream, sum_hash);
    for (size_t i = 0; err == CHOIR_OK && streams != NULL && i < n; i++)
        hash_end(streams[i], digests[i]);
    free_streams(streams, n);
    hash_free(stream);
    return err;
}

enum choir_err global_merge(struct global *global, uint64_t round_no, const int *fds, size_t n,
                            double weight_sum, uint8_t sum_hash[static HASH_BYTES],
                            uint8_t (*digests)[HASH_BYTES], struct choir_diag *diag)
{
    uint8_t before[HASH_BYTES];
    enum choir_err err;

    if (n == 0 || n > global->layout.n_sites || !(weight_sum > 0.0))
        return diag_set(diag, CHOIR_ERR_FORMAT, "sum", "there is nobody to add up");
    memcpy(before, global->hash, HASH_BYTES);
    err = move(global, fds, n, weight_sum, sum_hash, digests, diag);
    if (err == CHOIR_OK) {
        err = save(global, round_no);
        if (err != CHOIR_OK)
            diag_set(diag, err, "model file", "the new model could not be stored");
    }
    if (err != CHOIR_OK && global_load(global, before) != CHOIR_OK)
        return diag_set(diag, CHOIR_ERR_IO, "model file", "the model before cannot be read again");
    return err;
}

struct pruning {
    int folder;
    char current[NAME_MAX_BYTES], kept[NAME_MAX_BYTES]; // hashes in hex
};

// Both files of a model begin with its hash; what is shorter is not ours.
static enum choir_err prune_one(void *context, const char *name)
{
    const struct pruning *pruning = context;
    size_t digits = 2 * (size_t)HASH_BYTES;

    if (strlen(name) > digits && strncmp(name, pruning->current, digits) != 0 &&
        strncmp(name, pruning->kept, digits) != 0)
        unlinkat(pruning->folder, name, 0);
    return CHOIR_OK;
}

void global_prune(struct global *global, const uint8_t *keep)
{
    struct pruning pruning = {.folder = global->folder};
    enum choir_err unread;

    hex_put(pruning.current, global->hash, HASH_BYTES);
    if (keep != NULL)
        hex_put(pruning.kept, keep, HASH_BYTES);
    unread = folder_each(global->folder, prune_one, &pruning);
    (void)unread; // what stays costs disk only, and the next round prunes again
}
