#include "wire/source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/merkle.h"

struct source {
    uint8_t id[HASH_BYTES];
    uint8_t root[HASH_BYTES];
    uint64_t bytes;
    uint32_t n_chunks;
    uint8_t (*leaves)[HASH_BYTES]; // [n_chunks]
    const uint8_t *memory;         // borrowed; NULL: read `fd`
    int fd;
};

uint32_t source_chunk(const struct source *source, uint32_t index)
{
    uint64_t left = source->bytes - (uint64_t)index * BULK_CHUNK_BYTES;

    return left < BULK_CHUNK_BYTES ? (uint32_t)left : BULK_CHUNK_BYTES;
}

enum choir_err source_read(const struct source *source, uint32_t index, uint8_t *room,
                           const uint8_t **chunk)
{
    uint64_t offset = (uint64_t)index * BULK_CHUNK_BYTES;
    size_t len = source_chunk(source, index);

    if (source->memory != NULL) {
        *chunk = source->memory + offset;
        return CHOIR_OK;
    }
    if (file_read_at(source->fd, offset, room, len) != CHOIR_OK)
        return CHOIR_ERR_IO; // or the file shrank
    *chunk = room;
    return CHOIR_OK;
}

static enum choir_err find_leaves(struct source *source)
{
    enum choir_err err = CHOIR_OK;
    uint8_t *room = malloc(BULK_CHUNK_BYTES);

    if (room == NULL)
        return CHOIR_ERR_MEMORY;
    for (uint32_t i = 0; i < source->n_chunks && err == CHOIR_OK; i++) {
        const uint8_t *chunk = NULL;

        err = source_read(source, i, room, &chunk);
        if (err == CHOIR_OK)
            merkle_leaf(source->leaves[i], chunk, source_chunk(source, i));
    }
    free(room);
    return err;
}

// With `leaves` NULL they are found by reading everything.
static enum choir_err source_new(const struct source *shape, const uint8_t (*leaves)[HASH_BYTES],
                                 struct source **out)
{
    enum choir_err err = CHOIR_OK;
    struct source *source;

    if (shape->bytes == 0 || shape->bytes > BULK_CONTENT_MAX)
        return CHOIR_ERR_FORMAT;
    source = malloc(sizeof *source);
    if (source == NULL)
        return CHOIR_ERR_MEMORY;
    *source = *shape;
    source->n_chunks = bulk_chunks(shape->bytes);
    source->leaves = calloc(source->n_chunks, sizeof *source->leaves);
    if (source->leaves == NULL)
        err = CHOIR_ERR_MEMORY;
    else if (leaves != NULL)
        memcpy(source->leaves, leaves, source->n_chunks * sizeof *source->leaves);
    else
        err = find_leaves(source);
    if (err != CHOIR_OK) {
        source_free(source);
        return err;
    }
    merkle_root(source->root, (const uint8_t(*)[HASH_BYTES])source->leaves, source->n_chunks);
    *out = source;
    return CHOIR_OK;
}

enum choir_err source_of_memory(const uint8_t id[static HASH_BYTES], const uint8_t *bytes,
                                size_t len, struct source **out)
{
    struct source shape = {.bytes = len, .memory = bytes, .fd = -1};

    memcpy(shape.id, id, sizeof shape.id);
    return source_new(&shape, NULL, out);
}

enum choir_err source_of_fd(const uint8_t id[static HASH_BYTES], int fd, struct source **out)
{
    struct source shape = {.fd = fd};
    struct stat about;

    if (fstat(fd, &about) != 0 || about.st_size < 0)
        return CHOIR_ERR_IO;
    shape.bytes = (uint64_t)about.st_size;
    memcpy(shape.id, id, sizeof shape.id);
    return source_new(&shape, NULL, out);
}

enum choir_err source_of_leaves(const uint8_t id[static HASH_BYTES], int fd, uint64_t bytes,
                                const uint8_t (*leaves)[HASH_BYTES], struct source **out)
{
    struct source shape = {.bytes = bytes, .fd = fd};

    memcpy(shape.id, id, sizeof shape.id);
    return source_new(&shape, leaves, out);
}

void source_free(struct source *source)
{
    if (source == NULL)
        return;
    free(source->leaves);
    free(source);
}

const uint8_t *source_id(const struct source *source)
{
    return source->id;
}

const uint8_t *source_root(const struct source *source)
{
    return source->root;
}

uint64_t source_bytes(const struct source *source)
{
    return source->bytes;
}

uint32_t source_chunks(const struct source *source)
{
    return source->n_chunks;
}

const uint8_t (*source_leaves(const struct source *source))[HASH_BYTES]
{
    return (const uint8_t(*)[HASH_BYTES])source->leaves;
}
