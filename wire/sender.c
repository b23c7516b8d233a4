#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/transfer.h"

struct sender {
    const struct source *source;
    enum transfer_state state;
    bool passive; // speaks only when spoken to
    bool refused; // failed because the peer said no
    bool open_due, leaves_due;
    uint32_t leaves_first;
    uint32_t queue[TRANSFER_WINDOW_MAX]; // chunks granted and not yet sent, in order
    size_t n_queue;
    uint64_t last_ms;         // of the last news or OPEN
    struct bulk_message last; // what sender_next() gave
};

enum choir_err sender_new(const struct source *source, bool wait_for_fetch, struct sender **out)
{
    struct sender *sender = calloc(1, sizeof *sender);

    if (sender == NULL)
        return CHOIR_ERR_MEMORY;
    sender->source = source;
    sender->passive = wait_for_fetch;
    if (!wait_for_fetch)
        sender_reopen(sender);
    sender->leaves_due = sender->open_due && source_chunks(source) > 1;
    *out = sender;
    return CHOIR_OK;
}

void sender_free(struct sender *sender)
{
    free(sender);
}

void sender_reopen(struct sender *sender)
{
    if (sender->state == TRANSFER_DONE || (sender->state == TRANSFER_FAILED && !sender->refused))
        return;
    if (sender->state == TRANSFER_FAILED)
        sender->state = TRANSFER_WAITING;
    sender->open_due = !sender->passive;
    sender->leaves_due = false; // the peer asks for them if it has not got them
    sender->n_queue = 0;
}

static bool is_queued(const struct sender *sender, uint32_t index)
{
    for (size_t i = 0; i < sender->n_queue; i++)
        if (sender->queue[i] == index)
            return true;
    return false;
}

static enum choir_err take_need(struct sender *sender, const struct bulk_message *message)
{
    uint32_t n_chunks = source_chunks(sender->source);

    for (uint32_t k = 0; k < 64; k++)
        if ((message->bitmap >> k & 1) != 0 && message->first + k >= n_chunks)
            return CHOIR_ERR_PEER;
    sender->state = TRANSFER_RUNNING;
    for (uint32_t k = 0; k < 64 && sender->n_queue < TRANSFER_WINDOW_MAX; k++)
        if ((message->bitmap >> k & 1) != 0 && !is_queued(sender, message->first + k))
            sender->queue[sender->n_queue++] = message->first + k;
    return CHOIR_OK;
}

static enum choir_err take_ask(struct sender *sender, const struct bulk_message *message)
{
    if (message->first >= source_chunks(sender->source))
        return CHOIR_ERR_PEER;
    sender->leaves_due = true;
    sender->leaves_first = message->first;
    return CHOIR_OK;
}

static void take_fetch(struct sender *sender)
{
    sender->state = TRANSFER_RUNNING;
    sender->open_due = true;
    sender->leaves_due = source_chunks(sender->source) > 1;
    sender->leaves_first = 0;
}

enum choir_err sender_take(struct sender *sender, const struct bulk_message *message,
                           uint64_t now_ms)
{
    enum choir_err err = CHOIR_OK;

    switch (message->kind) {
    case BULK_FETCH:
        take_fetch(sender);
        break;
    case BULK_ASK:
        err = take_ask(sender, message);
        break;
    case BULK_NEED:
        err = take_need(sender, message);
        break;
    case BULK_DONE:
        sender->state = TRANSFER_DONE;
        sender->n_queue = 0;
        break;
    case BULK_REFUSED:
        sender->state = TRANSFER_FAILED;
        sender->refused = true;
        sender->n_queue = 0;
        break;
    case BULK_OPEN:
    case BULK_LEAVES:
    case BULK_DATA:
        err = CHOIR_ERR_PEER;
        break;
    }
    if (err == CHOIR_OK)
        sender->last_ms = now_ms;
    return err;
}

static void make_open(struct sender *sender, struct bulk_message *message)
{
    message->kind = BULK_OPEN;
    message->bytes = source_bytes(sender->source);
    memcpy(message->root, source_root(sender->source), HASH_BYTES);
    sender->open_due = false;
}

static void make_leaves(struct sender *sender, struct bulk_message *message)
{
    uint32_t left = source_chunks(sender->source) - sender->leaves_first;

    message->kind = BULK_LEAVES;
    message->first = sender->leaves_first;
    message->n = left < BULK_LEAVES_MAX ? left : BULK_LEAVES_MAX;
    message->payload = source_leaves(sender->source)[message->first];
    sender->leaves_due = false;
}

// A chunk from a file is read straight into its place in the message.
static enum choir_err make_data(struct sender *sender, uint8_t *to, struct bulk_message *message)
{
    message->kind = BULK_DATA;
    message->first = sender->queue[0];
    message->n = source_chunk(sender->source, message->first);
    sender->n_queue--;
    memmove(sender->queue, sender->queue + 1, sender->n_queue * sizeof sender->queue[0]);
    return source_read(sender->source, message->first, to + BULK_DATA_AT, &message->payload);
}

enum choir_err sender_next(struct sender *sender, uint64_t now_ms, uint8_t *to, size_t max,
                           size_t *len)
{
    struct bulk_message message = {0};

    assert(max >= BULK_BYTES_MAX);
    if (sender->state == TRANSFER_DONE || sender->state == TRANSFER_FAILED)
        return CHOIR_ERR_AGAIN;
    // The peer's own patience brings lost chunks back; this one is for a lost OPEN or DONE.
    if (!sender->passive && !sender->leaves_due && sender->n_queue == 0 &&
        now_ms - sender->last_ms >= TRANSFER_RETRY_MS)
        sender->open_due = true;
    if (sender->open_due) {
        make_open(sender, &message);
        sender->last_ms = now_ms;
    } else if (sender->leaves_due) {
        make_leaves(sender, &message);
    } else if (sender->n_queue > 0) {
        if (make_data(sender, to, &message) != CHOIR_OK) {
            sender->state = TRANSFER_FAILED;
            return CHOIR_ERR_IO;
        }
    } else {
        return CHOIR_ERR_AGAIN;
    }
    memcpy(message.id, source_id(sender->source), HASH_BYTES);
    bulk_encode(&message, to, max, len);
    sender->last = message;
    return CHOIR_OK;
}

void sender_unsent(struct sender *sender)
{
    if (sender->last.kind == BULK_OPEN) {
        sender->open_due = true;
    } else if (sender->last.kind == BULK_LEAVES) {
        sender->leaves_due = true;
        sender->leaves_first = sender->last.first;
    } else if (sender->last.kind == BULK_DATA && sender->n_queue < TRANSFER_WINDOW_MAX) {
        memmove(sender->queue + 1, sender->queue, sender->n_queue * sizeof sender->queue[0]);
        sender->queue[0] = sender->last.first;
        sender->n_queue++;
    }
}

enum transfer_state sender_state(const struct sender *sender)
{
    return sender->state;
}
