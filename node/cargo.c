#include "node/cargo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/bulk.h"
#include "wire/transfer.h"

enum which { NEITHER, THE_SENDER, THE_RECEIVER };

struct cargo {
    uint8_t hash[HASH_BYTES]; // of the model asked for
    int model;                // spool, or -1
    struct receiver *receiver;
    uint8_t root[HASH_BYTES]; // of the kept update
    int update;               // or -1
    struct source *source;
    struct sender *sender;
    enum which last; // whose message cargo_next() gave
    uint32_t window; // chunks of a model asked for ahead
};

enum choir_err cargo_new(size_t n_sites, struct cargo **out)
{
    struct cargo *cargo = calloc(1, sizeof *cargo);

    if (cargo == NULL)
        return CHOIR_ERR_MEMORY;
    cargo->model = -1;
    cargo->update = -1;
    cargo->window = transfer_window(n_sites);
    *out = cargo;
    return CHOIR_OK;
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void drop_model(struct cargo *cargo)
{
    receiver_free(cargo->receiver);
    cargo->receiver = NULL;
    close_if_open(&cargo->model);
}

static void drop_update(struct cargo *cargo)
{
    cargo_stop_upload(cargo);
    source_free(cargo->source);
    cargo->source = NULL;
    close_if_open(&cargo->update);
}

void cargo_free(struct cargo *cargo)
{
    if (cargo == NULL)
        return;
    drop_model(cargo);
    drop_update(cargo);
    free(cargo);
}

enum choir_err cargo_fetch(struct cargo *cargo, const uint8_t hash[static HASH_BYTES],
                           uint64_t max_bytes)
{
    struct receiver_settings settings = {
        .max_bytes = max_bytes, .fetch = true, .window = cargo->window};
    enum choir_err err;

    if (cargo->receiver != NULL && memcmp(cargo->hash, hash, HASH_BYTES) == 0 &&
        receiver_state(cargo->receiver) != TRANSFER_FAILED) {
        return CHOIR_OK;
    }
    drop_model(cargo);
    memcpy(cargo->hash, hash, HASH_BYTES);
    cargo->model = memfd_create("model", MFD_CLOEXEC);
    if (cargo->model < 0)
        return CHOIR_ERR_IO;
    memcpy(settings.id, hash, HASH_BYTES);
    settings.fd = cargo->model;
    settings.content = cargo->hash;
    err = receiver_new(&settings, &cargo->receiver);
    if (err != CHOIR_OK)
        drop_model(cargo);
    return err;
}

int cargo_model(const struct cargo *cargo, const uint8_t hash[static HASH_BYTES])
{
    return cargo->receiver != NULL && memcmp(cargo->hash, hash, HASH_BYTES) == 0 &&
                   receiver_state(cargo->receiver) == TRANSFER_DONE
               ? cargo->model
               : -1;
}

enum choir_err cargo_keep(struct cargo *cargo, const uint8_t root[static HASH_BYTES], int fd)
{
    enum choir_err err;

    if (cargo->source != NULL && memcmp(cargo->root, root, HASH_BYTES) == 0) {
        close(fd);
        return CHOIR_OK;
    }
    drop_update(cargo);
    cargo->update = fd;
    memcpy(cargo->root, root, HASH_BYTES);
    err = source_of_fd(root, fd, &cargo->source);
    if (err == CHOIR_OK && memcmp(source_root(cargo->source), root, HASH_BYTES) != 0)
        err = CHOIR_ERR_FORGED;
    if (err != CHOIR_OK)
        drop_update(cargo);
    return err;
}

enum choir_err cargo_upload(struct cargo *cargo, const uint8_t root[static HASH_BYTES],
                            enum cargo_news *news)
{
    *news = CARGO_NOTHING;
    if (cargo->source == NULL || memcmp(cargo->root, root, HASH_BYTES) != 0)
        return CHOIR_ERR_MISSING;
    if (cargo->sender != NULL && sender_state(cargo->sender) == TRANSFER_DONE)
        *news = CARGO_UPLOADED;
    if (cargo->sender != NULL && sender_state(cargo->sender) != TRANSFER_FAILED)
        return CHOIR_OK;
    cargo_stop_upload(cargo);
    return sender_new(cargo->source, false, &cargo->sender);
}

void cargo_stop_upload(struct cargo *cargo)
{
    sender_free(cargo->sender);
    cargo->sender = NULL;
}

const uint8_t *cargo_root(const struct cargo *cargo)
{
    return cargo->root;
}

const uint8_t *cargo_model_hash(const struct cargo *cargo)
{
    return cargo->hash;
}

void cargo_reopen(struct cargo *cargo)
{
    if (cargo->sender != NULL)
        sender_reopen(cargo->sender);
    if (cargo->receiver != NULL)
        receiver_reopen(cargo->receiver);
}

static enum choir_err take_chunk(struct cargo *cargo, const struct bulk_message *message,
                                 uint64_t now_ms, enum cargo_news *news)
{
    enum transfer_state before = receiver_state(cargo->receiver), after;
    enum choir_err err = receiver_take(cargo->receiver, message, now_ms);

    after = receiver_state(cargo->receiver);
    if (after == before)
        return err;
    if (after == TRANSFER_DONE)
        *news = CARGO_MODEL_READY;
    else if (after == TRANSFER_FAILED)
        *news = CARGO_MODEL_FAILED;
    return err;
}

static enum choir_err take_wish(struct cargo *cargo, const struct bulk_message *message,
                                uint64_t now_ms, enum cargo_news *news)
{
    enum transfer_state before = sender_state(cargo->sender);
    enum choir_err err = sender_take(cargo->sender, message, now_ms);

    if (before != TRANSFER_DONE && sender_state(cargo->sender) == TRANSFER_DONE)
        *news = CARGO_UPLOADED;
    return err;
}

enum choir_err cargo_take(struct cargo *cargo, const uint8_t *bytes, size_t len, uint64_t now_ms,
                          enum cargo_news *news)
{
    struct bulk_message message;
    enum choir_err err = bulk_decode(bytes, len, &message);

    *news = CARGO_NOTHING;
    if (err != CHOIR_OK)
        return err;
    if (cargo->sender != NULL && memcmp(message.id, cargo->root, HASH_BYTES) == 0)
        return take_wish(cargo, &message, now_ms, news);
    if (cargo->receiver != NULL && memcmp(message.id, cargo->hash, HASH_BYTES) == 0)
        return take_chunk(cargo, &message, now_ms, news);
    return CHOIR_OK; // late, about something dropped since
}

enum choir_err cargo_next(struct cargo *cargo, uint64_t now_ms, uint8_t *to, size_t max,
                          size_t *len)
{
    enum choir_err err = CHOIR_ERR_AGAIN;

    cargo->last = NEITHER;
    if (cargo->receiver != NULL) {
        cargo->last = THE_RECEIVER;
        err = receiver_next(cargo->receiver, now_ms, to, max, len);
    }
    if (err == CHOIR_ERR_AGAIN && cargo->sender != NULL) {
        cargo->last = THE_SENDER;
        err = sender_next(cargo->sender, now_ms, to, max, len);
    }
    return err;
}

void cargo_unsent(struct cargo *cargo)
{
    if (cargo->last == THE_SENDER && cargo->sender != NULL)
        sender_unsent(cargo->sender);
    else if (cargo->last == THE_RECEIVER && cargo->receiver != NULL)
        receiver_unsent(cargo->receiver);
}
