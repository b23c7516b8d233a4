#include "aggregator/lookout.h"

#include <stdlib.h>
#include <string.h>

#include "privacy/quantize.h"
#include "wire/bulk.h"
#include "wire/envelope.h"

enum choir_err lookout_init(struct lookout *lookout, const struct roster *roster, uint32_t relay)
{
    memset(lookout, 0, sizeof *lookout);
    lookout->roster = roster;
    lookout->relay = relay;
    lookout->message = calloc(1, sizeof *lookout->message);
    return lookout->message == NULL ? CHOIR_ERR_MEMORY : CHOIR_OK;
}

void lookout_release(struct lookout *lookout)
{
    free(lookout->message);
    memset(lookout, 0, sizeof *lookout);
}

static enum choir_err open_letter(const struct lookout *lookout, const uint8_t *bytes, size_t len,
                                  struct envelope *envelope, const uint8_t **body, size_t *body_len)
{
    enum choir_err err = envelope_open(bytes, len, lookout->roster, envelope, body, body_len);

    return err == CHOIR_ERR_MISSING ? CHOIR_ERR_FORGED : err;
}

// How long a vector of this shape is; 0 if there is no such shape.
static uint64_t bytes_of(const struct msg_round_open *open)
{
    struct quantize_layout layout;

    if (open->n_parameters > BULK_CONTENT_MAX / 4 ||
        quantize_layout_make((size_t)open->n_parameters, open->lane_bits, 1, 1.0, &layout) !=
            CHOIR_OK)
        return 0;
    return layout.n_bytes;
}

static void note_model(struct lookout *lookout, const uint8_t hash[static HASH_BYTES],
                       enum lookout_news *news)
{
    if (lookout->has_model && memcmp(lookout->model, hash, HASH_BYTES) == 0)
        return;
    lookout->has_model = true;
    memcpy(lookout->model, hash, HASH_BYTES);
    if (*news == LOOKOUT_NOTHING)
        *news = LOOKOUT_MODEL;
}

// Letters are sent again, and may come late: within a run rounds only go up.
static bool is_newer(const struct lookout *lookout, const struct envelope *envelope,
                     const struct msg_round_open *open)
{
    if (envelope->sequence <= lookout->sequence)
        return false;
    if (memcmp(lookout->run, open->run, sizeof lookout->run) != 0)
        return true;
    return open->round > lookout->round ||
           (open->round == lookout->round && open->attempt > lookout->attempt);
}

static enum choir_err take_open(struct lookout *lookout, const struct envelope *envelope,
                                enum lookout_news *news)
{
    const struct msg_round_open *open = &lookout->message->round_open;
    uint64_t bytes = bytes_of(open);

    if (bytes == 0)
        return CHOIR_ERR_FORMAT;
    if (!is_newer(lookout, envelope, open))
        return CHOIR_OK;
    lookout->open = true;
    lookout->sequence = envelope->sequence;
    memcpy(lookout->run, open->run, sizeof lookout->run);
    lookout->round = open->round;
    lookout->attempt = open->attempt;
    lookout->suite = open->suite;
    lookout->lane_bits = open->lane_bits;
    lookout->n_parameters = open->n_parameters;
    lookout->bytes = bytes;
    *news = LOOKOUT_ROUND;
    note_model(lookout, open->model_hash, news);
    return CHOIR_OK;
}

static bool is_of_this_attempt(const struct lookout *lookout, const struct envelope *envelope)
{
    return memcmp(lookout->run, envelope->run, sizeof lookout->run) == 0 &&
           envelope->round_no == lookout->round && envelope->attempt == lookout->attempt;
}

// A letter about a run that is not the newest one (an old letter, late) changes nothing.
static enum choir_err take_end(struct lookout *lookout, const struct envelope *envelope,
                               enum lookout_news *news)
{
    const struct message *message = lookout->message;

    if (memcmp(lookout->run, envelope->run, sizeof lookout->run) != 0)
        return CHOIR_OK;
    if (message->kind == MESSAGE_RUN_END)
        lookout->open = false;
    if (message->kind == MESSAGE_ATTEMPT_ABANDONED) {
        if (!lookout->open || !is_of_this_attempt(lookout, envelope))
            return CHOIR_OK;
        lookout->open = false;
        *news = LOOKOUT_OVER;
        return CHOIR_OK;
    }
    if (message->kind == MESSAGE_ROUND_CLOSE) {
        if (envelope->round_no < lookout->round)
            return CHOIR_OK;
        if (lookout->open)
            *news = LOOKOUT_CLOSED;
        lookout->open = false;
    }
    note_model(lookout,
               message->kind == MESSAGE_RUN_END ? message->run_end.model_hash
                                                : message->round_close.model_hash,
               news);
    return CHOIR_OK;
}

enum choir_err lookout_down(struct lookout *lookout, const uint8_t *bytes, size_t len,
                            enum lookout_news *news)
{
    struct envelope envelope;
    const uint8_t *body = NULL;
    size_t body_len = 0;
    enum choir_err err = open_letter(lookout, bytes, len, &envelope, &body, &body_len);

    *news = LOOKOUT_NOTHING;
    if (err != CHOIR_OK)
        return err;
    if (envelope.sender != ROSTER_AGGREGATOR)
        return CHOIR_ERR_REFUSED;
    if (envelope.kind != MESSAGE_ROUND_OPEN && envelope.kind != MESSAGE_ROUND_CLOSE &&
        envelope.kind != MESSAGE_RUN_END && envelope.kind != MESSAGE_ATTEMPT_ABANDONED)
        return CHOIR_OK;
    err = message_decode(envelope.kind, body, body_len, lookout->message);
    if (err != CHOIR_OK)
        return err;
    return envelope.kind == MESSAGE_ROUND_OPEN ? take_open(lookout, &envelope, news)
                                               : take_end(lookout, &envelope, news);
}

// With masks off a relay would hold what its sites send in the clear: it takes nothing then.
static bool is_expected(const struct lookout *lookout, const struct envelope *envelope,
                        const struct msg_masked *masked)
{
    return lookout->open && is_of_this_attempt(lookout, envelope) && lookout->suite != 0 &&
           masked->suite == lookout->suite && masked->site == envelope->sender &&
           masked->n_parameters == lookout->n_parameters &&
           masked->lane_bits == lookout->lane_bits && masked->bytes == lookout->bytes;
}

enum choir_err lookout_up(struct lookout *lookout, uint32_t site, const uint8_t *bytes, size_t len,
                          struct lookout_vector *vector, enum lookout_news *news)
{
    const struct roster_site *member = roster_by_id(lookout->roster, site);
    struct envelope envelope;
    const uint8_t *body = NULL;
    size_t body_len = 0;
    enum choir_err err = open_letter(lookout, bytes, len, &envelope, &body, &body_len);

    *news = LOOKOUT_NOTHING;
    if (err != CHOIR_OK)
        return err;
    if (member == NULL || member->relay != lookout->relay || envelope.sender != site)
        return CHOIR_ERR_REFUSED;
    if (envelope.kind != MESSAGE_MASKED)
        return CHOIR_OK;
    err = message_decode(envelope.kind, body, body_len, lookout->message);
    if (err != CHOIR_OK || !is_expected(lookout, &envelope, &lookout->message->masked))
        return err;
    vector->site = site;
    vector->bytes = lookout->message->masked.bytes;
    memcpy(vector->root, lookout->message->masked.root, HASH_BYTES);
    *news = LOOKOUT_VECTOR;
    return CHOIR_OK;
}
