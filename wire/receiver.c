#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/merkle.h"
#include "wire/transfer.h"

enum { READ_BYTES = 64 << 10, RETRY_MAX_MS = 32000 };

enum chunk_mark { CHUNK_WANTED, CHUNK_ASKED, CHUNK_HERE };

struct receiver {
    struct receiver_settings settings;
    uint64_t expect_bytes;
    uint8_t expect_root[HASH_BYTES], expect_content[HASH_BYTES];
    enum transfer_state state;
    bool refused; // failed because the peer said no
    bool fetch_due, ask_due, done_due, refuse_due;
    bool fetched; // FETCH was sent: of two OPENs the second may be its answer
    uint16_t refusal;
    uint64_t bytes; // 0 until OPEN came
    uint8_t root[HASH_BYTES];
    uint32_t n_chunks, n_leaves, n_have, n_asked;
    uint8_t (*leaves)[HASH_BYTES]; // [n_chunks], of which n_leaves are here
    uint8_t *mark;                 // [n_chunks] of enum chunk_mark
    uint32_t scan;                 // no chunk below is still to be asked for
    uint64_t last_ms;              // of the last news or question
    uint32_t retry_ms;             // patience; doubles while there is no news
    struct bulk_message last;      // what receiver_next() gave
};

uint32_t transfer_window(size_t n_sites)
{
    size_t share = n_sites == 0 ? TRANSFER_WINDOW : TRANSFER_UNDER_WAY / n_sites;

    if (share < 1)
        return 1;
    return share < TRANSFER_WINDOW ? (uint32_t)share : TRANSFER_WINDOW;
}

enum choir_err receiver_new(const struct receiver_settings *settings, struct receiver **out)
{
    struct receiver *receiver;

    if (settings->max_bytes == 0 || settings->max_bytes > BULK_CONTENT_MAX ||
        settings->window > TRANSFER_WINDOW_MAX)
        return CHOIR_ERR_FORMAT;
    receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL)
        return CHOIR_ERR_MEMORY;
    receiver->settings = *settings;
    if (settings->window == 0)
        receiver->settings.window = TRANSFER_WINDOW;
    if (settings->bytes != NULL)
        receiver->expect_bytes = *settings->bytes;
    if (settings->root != NULL)
        memcpy(receiver->expect_root, settings->root, HASH_BYTES);
    if (settings->content != NULL)
        memcpy(receiver->expect_content, settings->content, HASH_BYTES);
    receiver->fetch_due = settings->fetch;
    receiver->retry_ms = TRANSFER_RETRY_MS;
    *out = receiver;
    return CHOIR_OK;
}

void receiver_free(struct receiver *receiver)
{
    if (receiver == NULL)
        return;
    free(receiver->leaves);
    free(receiver->mark);
    free(receiver);
}

static bool tree_is_known(const struct receiver *receiver)
{
    return receiver->bytes > 0 && receiver->n_leaves == receiver->n_chunks;
}

// What was asked for may be lost: ask again for all that is not here.
static void forget_questions(struct receiver *receiver)
{
    for (uint32_t i = 0; i < receiver->n_chunks && receiver->n_asked > 0; i++)
        if (receiver->mark[i] == CHUNK_ASKED) {
            receiver->mark[i] = CHUNK_WANTED;
            receiver->n_asked--;
        }
    receiver->scan = 0;
    receiver->ask_due = receiver->bytes > 0 && !tree_is_known(receiver);
}

static enum transfer_state state_now(const struct receiver *receiver)
{
    return receiver->bytes == 0 ? TRANSFER_WAITING : TRANSFER_RUNNING;
}

void receiver_reopen(struct receiver *receiver)
{
    if (receiver->state == TRANSFER_DONE ||
        (receiver->state == TRANSFER_FAILED && !receiver->refused))
        return;
    receiver->state = state_now(receiver);
    receiver->retry_ms = TRANSFER_RETRY_MS;
    receiver->fetched = false;
    if (!receiver->settings.fetch)
        return; // the sender opens again, and that makes us ask
    receiver->fetch_due = receiver->settings.fetch;
    forget_questions(receiver);
}

static enum choir_err fail(struct receiver *receiver, enum bulk_refusal code, enum choir_err err)
{
    receiver->state = TRANSFER_FAILED;
    receiver->refused = false;
    receiver->refuse_due = true;
    receiver->refusal = (uint16_t)code;
    return err;
}

static enum choir_err take_first_open(struct receiver *receiver, const struct bulk_message *message)
{
    const struct receiver_settings *settings = &receiver->settings;
    uint32_t n_chunks = bulk_chunks(message->bytes);

    if (message->bytes > settings->max_bytes)
        return fail(receiver, BULK_TOO_BIG, CHOIR_ERR_FORGED);
    if ((settings->bytes != NULL && message->bytes != receiver->expect_bytes) ||
        (settings->root != NULL && memcmp(message->root, receiver->expect_root, HASH_BYTES) != 0))
        return fail(receiver, BULK_MISMATCH, CHOIR_ERR_FORGED);
    receiver->leaves = calloc(n_chunks, sizeof *receiver->leaves); // bounded by max_bytes
    receiver->mark = calloc(n_chunks, sizeof *receiver->mark);
    if (receiver->leaves == NULL || receiver->mark == NULL)
        return fail(receiver, BULK_FAILED, CHOIR_ERR_MEMORY);
    receiver->bytes = message->bytes;
    receiver->n_chunks = n_chunks;
    memcpy(receiver->root, message->root, HASH_BYTES);
    if (n_chunks == 1) { // the root of one leaf is the leaf
        memcpy(receiver->leaves[0], message->root, HASH_BYTES);
        receiver->n_leaves = 1;
    }
    receiver->state = TRANSFER_RUNNING;
    return CHOIR_OK;
}

static enum choir_err take_open(struct receiver *receiver, const struct bulk_message *message)
{
    if (receiver->bytes == 0)
        return take_first_open(receiver, message);
    if (message->bytes != receiver->bytes || memcmp(message->root, receiver->root, HASH_BYTES) != 0)
        return CHOIR_ERR_FORGED;
    // Our FETCH and the sender's own OPEN may have crossed: nothing was lost, so nothing is asked
    // for twice. If it was a new connection after all, impatience will ask.
    if (receiver->fetched)
        receiver->fetched = false;
    else
        forget_questions(receiver);
    return CHOIR_OK;
}

static enum choir_err take_leaves(struct receiver *receiver, const struct bulk_message *message)
{
    uint8_t root[HASH_BYTES];

    if (receiver->bytes == 0 || message->first != receiver->n_leaves || tree_is_known(receiver))
        return CHOIR_OK; // repeated or out of order: what is missing is asked for
    if (message->n > receiver->n_chunks - message->first)
        return CHOIR_ERR_PEER;
    memcpy(receiver->leaves[message->first], message->payload, (size_t)message->n * HASH_BYTES);
    receiver->n_leaves += message->n;
    receiver->ask_due = !tree_is_known(receiver);
    if (receiver->ask_due)
        return CHOIR_OK;
    merkle_root(root, (const uint8_t(*)[HASH_BYTES])receiver->leaves, receiver->n_chunks);
    if (memcmp(root, receiver->root, HASH_BYTES) != 0) {
        receiver->n_leaves = 0;
        return fail(receiver, BULK_MISMATCH, CHOIR_ERR_FORGED);
    }
    return CHOIR_OK;
}

static enum choir_err hash_spool(const struct receiver *receiver, uint8_t hash[static HASH_BYTES])
{
    struct hash_stream *stream = NULL;
    uint8_t *room = malloc(READ_BYTES);
    enum choir_err err = room == NULL ? CHOIR_ERR_MEMORY : hash_new(&stream);
    uint64_t offset = 0;

    while (err == CHOIR_OK && offset < receiver->bytes) {
        uint64_t left = receiver->bytes - offset;
        ssize_t got = pread(receiver->settings.fd, room,
                            left < READ_BYTES ? (size_t)left : READ_BYTES, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            err = CHOIR_ERR_IO;
            break;
        }
        hash_add(stream, room, (size_t)got);
        offset += (uint64_t)got;
    }
    if (err == CHOIR_OK)
        hash_end(stream, hash);
    hash_free(stream);
    free(room);
    return err;
}

static enum choir_err finish(struct receiver *receiver)
{
    if (receiver->settings.content != NULL) {
        uint8_t hash[HASH_BYTES];

        if (hash_spool(receiver, hash) != CHOIR_OK)
            return fail(receiver, BULK_FAILED, CHOIR_ERR_IO);
        if (memcmp(hash, receiver->expect_content, HASH_BYTES) != 0)
            return fail(receiver, BULK_MISMATCH, CHOIR_ERR_FORGED);
    }
    receiver->state = TRANSFER_DONE;
    receiver->done_due = true;
    return CHOIR_OK;
}

static enum choir_err take_data(struct receiver *receiver, const struct bulk_message *message)
{
    uint64_t offset = (uint64_t)message->first * BULK_CHUNK_BYTES;
    uint8_t leaf[HASH_BYTES];

    if (!tree_is_known(receiver))
        return CHOIR_OK; // overtook the hashes: it is asked for later
    if (message->first >= receiver->n_chunks ||
        message->n != (receiver->bytes - offset < BULK_CHUNK_BYTES ? receiver->bytes - offset
                                                                   : BULK_CHUNK_BYTES))
        return CHOIR_ERR_PEER;
    if (receiver->mark[message->first] == CHUNK_HERE)
        return CHOIR_OK;
    merkle_leaf(leaf, message->payload, message->n);
    if (memcmp(leaf, receiver->leaves[message->first], HASH_BYTES) != 0)
        return CHOIR_ERR_FORGED;
    if (file_write_at(receiver->settings.fd, offset, message->payload, message->n) != CHOIR_OK)
        return fail(receiver, BULK_FAILED, CHOIR_ERR_IO);
    if (receiver->mark[message->first] == CHUNK_ASKED)
        receiver->n_asked--;
    receiver->mark[message->first] = CHUNK_HERE;
    receiver->n_have++;
    return receiver->n_have == receiver->n_chunks ? finish(receiver) : CHOIR_OK;
}

static enum choir_err take(struct receiver *receiver, const struct bulk_message *message)
{
    switch (message->kind) {
    case BULK_OPEN:
        return take_open(receiver, message);
    case BULK_LEAVES:
        return take_leaves(receiver, message);
    case BULK_DATA:
        return take_data(receiver, message);
    case BULK_REFUSED:
        receiver->state = TRANSFER_FAILED;
        receiver->refused = true;
        return CHOIR_OK;
    case BULK_FETCH:
    case BULK_ASK:
    case BULK_NEED:
    case BULK_DONE:
        break;
    }
    return CHOIR_ERR_PEER;
}

enum choir_err receiver_take(struct receiver *receiver, const struct bulk_message *message,
                             uint64_t now_ms)
{
    enum choir_err err;

    if (receiver->state == TRANSFER_DONE) {
        receiver->done_due = true; // the first DONE was lost, or this one is late
        return CHOIR_OK;
    }
    if (receiver->state == TRANSFER_FAILED)
        return CHOIR_OK;
    err = take(receiver, message);
    if (err == CHOIR_OK) {
        receiver->last_ms = now_ms;
        receiver->retry_ms = TRANSFER_RETRY_MS;
    }
    return err;
}

// The next chunks to ask for, within 64 of the first of them; false if there are none now.
static bool make_need(struct receiver *receiver, struct bulk_message *message)
{
    message->kind = BULK_NEED;
    for (; receiver->scan < receiver->n_chunks && receiver->n_asked < receiver->settings.window;
         receiver->scan++) {
        if (receiver->mark[receiver->scan] != CHUNK_WANTED)
            continue;
        if (message->bitmap == 0)
            message->first = receiver->scan;
        if (receiver->scan - message->first >= 64)
            break;
        message->bitmap |= (uint64_t)1 << (receiver->scan - message->first);
        receiver->mark[receiver->scan] = CHUNK_ASKED;
        receiver->n_asked++;
    }
    return message->bitmap != 0;
}

static void be_impatient(struct receiver *receiver, uint64_t now_ms)
{
    if (receiver->last_ms == 0)
        receiver->last_ms = now_ms;
    if (now_ms - receiver->last_ms < receiver->retry_ms)
        return;
    receiver->last_ms = now_ms;
    if (receiver->retry_ms < RETRY_MAX_MS)
        receiver->retry_ms *= 2;
    receiver->fetch_due = receiver->settings.fetch;
    forget_questions(receiver);
}

// What a running or waiting receiver has to say; false: nothing now.
static bool make_question(struct receiver *receiver, struct bulk_message *message)
{
    if (receiver->fetch_due && receiver->bytes == 0) {
        message->kind = BULK_FETCH;
        receiver->fetch_due = false;
        receiver->fetched = true;
        return true;
    }
    if (receiver->ask_due) {
        message->kind = BULK_ASK;
        message->first = receiver->n_leaves;
        receiver->ask_due = false;
        return true;
    }
    return tree_is_known(receiver) && make_need(receiver, message);
}

enum choir_err receiver_next(struct receiver *receiver, uint64_t now_ms, uint8_t *to, size_t max,
                             size_t *len)
{
    struct bulk_message message = {0};

    if (receiver->refuse_due) {
        message.kind = BULK_REFUSED;
        message.code = receiver->refusal;
        receiver->refuse_due = false;
    } else if (receiver->done_due) {
        message.kind = BULK_DONE;
        receiver->done_due = false;
    } else if (receiver->state == TRANSFER_DONE || receiver->state == TRANSFER_FAILED) {
        return CHOIR_ERR_AGAIN;
    } else {
        be_impatient(receiver, now_ms);
        if (!make_question(receiver, &message))
            return CHOIR_ERR_AGAIN;
        receiver->last_ms = now_ms;
    }
    memcpy(message.id, receiver->settings.id, HASH_BYTES);
    bulk_encode(&message, to, max, len);
    receiver->last = message;
    return CHOIR_OK;
}

void receiver_unsent(struct receiver *receiver)
{
    if (receiver->last.kind == BULK_REFUSED)
        receiver->refuse_due = true;
    else if (receiver->last.kind == BULK_DONE)
        receiver->done_due = true;
    else if (receiver->last.kind == BULK_FETCH)
        receiver->fetch_due = true;
    else
        forget_questions(receiver);
}

enum transfer_state receiver_state(const struct receiver *receiver)
{
    return receiver->state;
}

void receiver_progress(const struct receiver *receiver, uint64_t *bytes, uint64_t *arrived)
{
    uint64_t here = (uint64_t)receiver->n_have * BULK_CHUNK_BYTES;

    *bytes = receiver->bytes;
    *arrived = here < receiver->bytes ? here : receiver->bytes;
}
