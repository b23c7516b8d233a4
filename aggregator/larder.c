#include "aggregator/larder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/hex.h"
#include "wire/transfer.h"

enum { NAME_BYTES = 2 * HASH_BYTES + 16, READ_BYTES = 64 << 10, AGAIN_MS = 2000 };

struct larder {
    int folder;
    uint8_t wanted[HASH_BYTES];
    uint64_t max_bytes;
    struct receiver *receiver; // NULL: nothing is being fetched
    int part;                  // its file, -1 without receiver
    uint64_t failed_ms;        // when fetching failed; 0: it has not
    struct source *source;     // NULL: nothing is served
    int fd;                    // of the source, -1 without
};

enum choir_err larder_open(const char *folder, struct larder **out)
{
    struct larder *larder = calloc(1, sizeof *larder);

    if (larder == NULL)
        return CHOIR_ERR_MEMORY;
    larder->part = larder->fd = -1;
    larder->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (larder->folder < 0) {
        free(larder);
        return CHOIR_ERR_IO;
    }
    *out = larder;
    return CHOIR_OK;
}

static void stop_fetching(struct larder *larder)
{
    receiver_free(larder->receiver);
    larder->receiver = NULL;
    if (larder->part >= 0)
        close(larder->part);
    larder->part = -1;
    larder->failed_ms = 0;
}

static void stop_serving(struct larder *larder)
{
    source_free(larder->source);
    larder->source = NULL;
    if (larder->fd >= 0)
        close(larder->fd);
    larder->fd = -1;
}

void larder_close(struct larder *larder)
{
    if (larder == NULL)
        return;
    stop_fetching(larder);
    stop_serving(larder);
    close(larder->folder);
    free(larder);
}

const struct source *larder_source(const struct larder *larder)
{
    return larder->source;
}

static void file_name(char name[static NAME_BYTES], const uint8_t hash[static HASH_BYTES],
                      const char *end)
{
    hex_put(name, hash, HASH_BYTES);
    snprintf(name + 2 * (size_t)HASH_BYTES, NAME_BYTES - 2 * (size_t)HASH_BYTES, "%s", end);
}

static bool has_hash(int fd, const uint8_t expected[static HASH_BYTES])
{
    uint8_t *room = malloc(READ_BYTES), hash[HASH_BYTES] = {0};
    struct hash_stream *stream = NULL;
    ssize_t got = -1;

    if (room != NULL && hash_new(&stream) == CHOIR_OK) {
        off_t offset = 0;

        while ((got = pread(fd, room, READ_BYTES, offset)) > 0) {
            hash_add(stream, room, (size_t)got);
            offset += got;
        }
        hash_end(stream, hash);
    }
    hash_free(stream);
    free(room);
    return got == 0 && memcmp(hash, expected, HASH_BYTES) == 0;
}

static enum choir_err erase_other(void *context, const char *name)
{
    const struct larder *larder = context;
    char kept[NAME_BYTES];

    file_name(kept, larder->wanted, ".model");
    if (strcmp(name, kept) != 0)
        unlinkat(larder->folder, name, 0);
    return CHOIR_OK;
}

// Serves the wanted model from its file. CHOIR_ERR_MISSING: it is not on disk, or damaged.
static enum choir_err serve(struct larder *larder)
{
    char name[NAME_BYTES];
    struct source *source = NULL;
    enum choir_err err, unread;
    int fd;

    file_name(name, larder->wanted, ".model");
    fd = openat(larder->folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return CHOIR_ERR_MISSING;
    err = has_hash(fd, larder->wanted) ? source_of_fd(larder->wanted, fd, &source)
                                       : CHOIR_ERR_MISSING;
    if (err != CHOIR_OK) {
        close(fd);
        return err;
    }
    stop_serving(larder);
    larder->source = source;
    larder->fd = fd;
    unread = folder_each(larder->folder, erase_other, larder);
    (void)unread; // an old model that stays costs room and nothing else
    return CHOIR_OK;
}

static enum choir_err fetch(struct larder *larder)
{
    struct receiver_settings settings = {
        .max_bytes = larder->max_bytes, .fetch = true, .content = larder->wanted};
    char name[NAME_BYTES];

    stop_fetching(larder);
    file_name(name, larder->wanted, ".part");
    larder->part = openat(larder->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (larder->part < 0)
        return CHOIR_ERR_IO;
    memcpy(settings.id, larder->wanted, HASH_BYTES);
    settings.fd = larder->part;
    return receiver_new(&settings, &larder->receiver);
}

enum choir_err larder_want(struct larder *larder, const uint8_t hash[static HASH_BYTES],
                           uint64_t max_bytes, bool *here)
{
    enum choir_err err;

    *here = larder->source != NULL && memcmp(source_id(larder->source), hash, HASH_BYTES) == 0;
    if (*here || larder_is_fetching(larder, hash))
        return CHOIR_OK;
    stop_fetching(larder);
    memcpy(larder->wanted, hash, HASH_BYTES);
    larder->max_bytes = max_bytes;
    err = serve(larder);
    *here = err == CHOIR_OK;
    return err == CHOIR_ERR_MISSING ? fetch(larder) : err;
}

bool larder_is_fetching(const struct larder *larder, const uint8_t id[static HASH_BYTES])
{
    return larder->receiver != NULL && memcmp(larder->wanted, id, HASH_BYTES) == 0;
}

void larder_reopen(struct larder *larder)
{
    if (larder->receiver != NULL)
        receiver_reopen(larder->receiver);
}

// The file gets its final name only when its bytes are durable.
static enum choir_err finish(struct larder *larder)
{
    char part[NAME_BYTES], name[NAME_BYTES];

    file_name(part, larder->wanted, ".part");
    file_name(name, larder->wanted, ".model");
    if (fsync(larder->part) != 0 || renameat(larder->folder, part, larder->folder, name) != 0 ||
        fsync(larder->folder) != 0)
        return CHOIR_ERR_IO;
    stop_fetching(larder);
    return serve(larder) == CHOIR_OK ? CHOIR_OK : CHOIR_ERR_IO;
}

enum choir_err larder_take(struct larder *larder, const struct bulk_message *message,
                           uint64_t now_ms, bool *changed)
{
    enum choir_err err;

    *changed = false;
    if (!larder_is_fetching(larder, message->id))
        return CHOIR_ERR_PEER;
    err = receiver_take(larder->receiver, message, now_ms);
    if (receiver_state(larder->receiver) == TRANSFER_FAILED && larder->failed_ms == 0)
        larder->failed_ms = now_ms;
    if (err != CHOIR_OK || receiver_state(larder->receiver) != TRANSFER_DONE)
        return err;
    err = finish(larder);
    *changed = err == CHOIR_OK;
    return err;
}

enum choir_err larder_next(struct larder *larder, uint64_t now_ms, uint8_t *to, size_t max,
                           size_t *len)
{
    enum choir_err err = CHOIR_OK;

    if (larder->receiver == NULL)
        return CHOIR_ERR_AGAIN;
    if (larder->failed_ms != 0 && now_ms - larder->failed_ms >= AGAIN_MS)
        err = fetch(larder); // the aggregator may serve it by now
    return err != CHOIR_OK ? err : receiver_next(larder->receiver, now_ms, to, max, len);
}

void larder_unsent(struct larder *larder)
{
    if (larder->receiver != NULL)
        receiver_unsent(larder->receiver);
}
