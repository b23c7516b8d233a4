#include "node/cargo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node/masker.h"
#include "wire/bulk.h"
#include "wire/transfer.h"

enum which { NEITHER, THE_SENDER, THE_RECEIVER };

struct cargo {
    uint8_t hash[HASH_BYTES]; // of the model asked for
    int model;                // spool, or -1
    struct receiver *receiver;
    uint8_t digest[HASH_BYTES];  // of the kept update
    int update;                  // or -1
    bool to_mask;                // it leaves only under masks
    int scratch;                 // borrowed
    struct masker *masker;       // while there is masking to do
    const struct maskset *masks; // of this attempt, to tell it from another
    struct source *source;       // what may be sent
    struct sender *sender;
    const char *fault;
    enum which last; // whose message cargo_next() gave
    uint32_t window; // chunks of a model asked for ahead
};

enum choir_err cargo_new(size_t n_sites, int scratch, struct cargo **out)
{
    struct cargo *cargo = calloc(1, sizeof *cargo);

    if (cargo == NULL)
        return CHOIR_ERR_MEMORY;
    cargo->model = -1;
    cargo->update = -1;
    cargo->scratch = scratch;
    cargo->fault = "";
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

// What was masked is no secret (it is what was sent), but it is of no use any more.
static void drop_masked(struct cargo *cargo)
{
    masker_free(cargo->masker);
    cargo->masker = NULL;
    cargo->masks = NULL;
    if (!cargo->to_mask)
        return;
    source_free(cargo->source);
    cargo->source = NULL;
    if (cargo->scratch >= 0 && ftruncate(cargo->scratch, 0) != 0)
        cargo->fault = "the scratch file cannot be emptied"; // overwritten by the next one
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

enum choir_err cargo_keep(struct cargo *cargo, const struct site_update *update, bool to_mask,
                          int fd)
{
    enum choir_err err = CHOIR_OK;

    if (cargo->update >= 0 && cargo->to_mask == to_mask &&
        memcmp(cargo->digest, update->digest, HASH_BYTES) == 0) {
        close(fd);
        return CHOIR_OK;
    }
    drop_update(cargo);
    cargo->update = fd;
    cargo->to_mask = to_mask;
    memcpy(cargo->digest, update->digest, HASH_BYTES);
    if (to_mask)
        return CHOIR_OK;
    err = source_of_fd(update->root, fd, &cargo->source);
    if (err == CHOIR_OK && memcmp(source_root(cargo->source), update->root, HASH_BYTES) != 0)
        err = CHOIR_ERR_FORGED;
    if (err != CHOIR_OK)
        drop_update(cargo);
    return err;
}

enum choir_err cargo_mask(struct cargo *cargo, const uint8_t digest[static HASH_BYTES],
                          const struct cargo_masks *masks)
{
    struct masker_job job = {
        .plain = cargo->update,
        .scratch = cargo->scratch,
        .n_parameters = masks->n_parameters,
        .lane_bits = masks->lane_bits,
        .masks = masks->masks,
    };
    enum choir_err err;

    if (cargo->update < 0 || !cargo->to_mask || cargo->scratch < 0 ||
        memcmp(cargo->digest, digest, HASH_BYTES) != 0)
        return CHOIR_ERR_MISSING;
    if (cargo->masker != NULL && cargo->masks == masks->masks)
        return CHOIR_OK;
    cargo_stop_upload(cargo);
    err = masker_new(&job, &cargo->masker);
    if (err == CHOIR_OK)
        cargo->masks = masks->masks;
    return err;
}

bool cargo_is_masking(const struct cargo *cargo)
{
    return cargo->masker != NULL;
}

static enum choir_err finish_masking(struct cargo *cargo)
{
    enum choir_err err = masker_source(cargo->masker, &cargo->source);

    masker_free(cargo->masker);
    cargo->masker = NULL;
    cargo->masks = NULL; // the machine may free them now
    return err;
}

enum choir_err cargo_work(struct cargo *cargo, enum cargo_news *news)
{
    enum choir_err err;
    bool done;

    *news = CARGO_NOTHING;
    if (cargo->masker == NULL)
        return CHOIR_OK;
    err = masker_step(cargo->masker, &done);
    if (err == CHOIR_OK && !done)
        return err;
    if (err == CHOIR_OK)
        err = finish_masking(cargo);
    if (err == CHOIR_OK) {
        *news = CARGO_MASKED;
        return err;
    }
    cargo->fault = errno == ENOSPC ? "there is no room on the disk for the masked vector"
                                   : "the masked vector cannot be written";
    cargo_stop_upload(cargo);
    *news = CARGO_MASK_FAILED;
    return err == CHOIR_ERR_MEMORY ? err : CHOIR_OK;
}

const char *cargo_fault(const struct cargo *cargo)
{
    return cargo->fault;
}

enum choir_err cargo_upload(struct cargo *cargo, const uint8_t root[static HASH_BYTES],
                            enum cargo_news *news)
{
    *news = CARGO_NOTHING;
    if (cargo->source == NULL || memcmp(source_root(cargo->source), root, HASH_BYTES) != 0)
        return CHOIR_ERR_MISSING;
    if (cargo->sender != NULL && sender_state(cargo->sender) == TRANSFER_DONE)
        *news = CARGO_UPLOADED;
    if (cargo->sender != NULL && sender_state(cargo->sender) != TRANSFER_FAILED)
        return CHOIR_OK;
    sender_free(cargo->sender);
    cargo->sender = NULL;
    return sender_new(cargo->source, false, &cargo->sender);
}

void cargo_stop_upload(struct cargo *cargo)
{
    sender_free(cargo->sender);
    cargo->sender = NULL;
    drop_masked(cargo);
}

const uint8_t *cargo_root(const struct cargo *cargo)
{
    static const uint8_t none[HASH_BYTES];

    return cargo->source == NULL ? none : source_root(cargo->source);
}

uint64_t cargo_bytes(const struct cargo *cargo)
{
    return cargo->source == NULL ? 0 : source_bytes(cargo->source);
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
    if (cargo->sender != NULL && memcmp(message.id, source_id(cargo->source), HASH_BYTES) == 0)
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
