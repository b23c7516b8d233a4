/* What a relay does with its aggregator: letters down, HAVE and sums up, models. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/outpost_state.h"
#include "base/file.h"
#include "base/now.h"
#include "ops/log.h"
#include "train/snapshot.h"
#include "wire/envelope.h"

enum {
    HAVE_EVERY_MS = 2000, // said again and again: the aggregator may have started anew
    PUMP_BURST = 16,
};

static const char round_letter[] = "round.letter"; // the ROUND_OPEN that is gone by, as signed

static void forget_vectors(struct outpost *outpost)
{
    for (size_t i = 0; i <= ROSTER_SITES_MAX; i++)
        outpost->held[i].any = outpost->held[i].whole = outpost->held[i].came = false;
    outpost->have_due = false;
    intake_clear(outpost->intake);
}

static enum choir_err want_model(struct outpost *outpost)
{
    const struct lookout *lookout = &outpost->lookout;
    bool here = false;
    enum choir_err err = larder_want(outpost->larder, lookout->model,
                                     snapshot_len((size_t)lookout->n_parameters), &here);

    outpost->pumped_ms = 0;
    if (err != CHOIR_OK || !here)
        return err;
    return outpost_serve_model(outpost);
}

// The letter is kept, so that a relay that starts again knows what headers to expect.
static enum choir_err begin_round(struct outpost *outpost, const uint8_t *bytes, size_t len)
{
    enum choir_err err = file_replace(outpost->folder, round_letter, 0600, bytes, len);

    if (err != CHOIR_OK)
        return err;
    forget_vectors(outpost);
    LOG_EVENT(LOG_INFO, "round_passes", log_whole("round", outpost->lookout.round),
              log_whole("attempt", outpost->lookout.attempt));
    if (outpost->lookout.suite == 0)
        LOG_EVENT(LOG_WARNING, "masks_are_off",
                  log_text("next", "this relay takes no vectors that it could read: turn secure "
                                   "aggregation on in the plan"));
    return want_model(outpost);
}

static enum choir_err heed(struct outpost *outpost, enum lookout_news news, const uint8_t *bytes,
                           size_t len)
{
    switch (news) {
    case LOOKOUT_ROUND:
        return begin_round(outpost, bytes, len);
    case LOOKOUT_OVER:
        forget_vectors(outpost);
        return CHOIR_OK;
    case LOOKOUT_CLOSED:
        outpost_keep_vectors(outpost);
        return want_model(outpost);
    case LOOKOUT_MODEL:
        return want_model(outpost);
    case LOOKOUT_NOTHING:
    case LOOKOUT_VECTOR:
        break;
    }
    return CHOIR_OK;
}

void outpost_reject(struct outpost *outpost, const char *why)
{
    if (outpost_may_log(outpost, 0))
        LOG_EVENT(LOG_WARNING, "letter_rejected", log_text("why", why));
}

static void pass_down(struct outpost *outpost, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < outpost->receivers.n; i++) {
        const struct roster_site *site = roster_by_id(&outpost->roster, outpost->receivers.id[i]);

        if (site == NULL || site->relay != outpost->self->id)
            continue;
        // One that cannot be sent now is sent again by the aggregator.
        if (link_send(outpost->sites, site->id, LINK_CONTROL, bytes, len) != CHOIR_OK)
            continue;
    }
}

static enum choir_err take_frame(struct outpost *outpost, const struct link_event *event)
{
    const uint8_t *bytes = NULL;
    size_t len = 0;
    enum lookout_news news = LOOKOUT_NOTHING;
    enum choir_err err =
        relay_frame_open(event->bytes, event->len, &outpost->receivers, &bytes, &len);

    if (err == CHOIR_OK)
        err = lookout_down(&outpost->lookout, bytes, len, &news);
    if (err == CHOIR_ERR_MEMORY)
        return err;
    if (err != CHOIR_OK) {
        outpost_reject(outpost, choir_err_text(err));
        return CHOIR_OK;
    }
    err = heed(outpost, news, bytes, len);
    pass_down(outpost, bytes, len);
    return err;
}

enum choir_err outpost_send(struct outpost *outpost, const struct relay_letter *letter)
{
    size_t len = 0;
    enum choir_err err = relay_seal(letter, outpost->secret, outpost->sealed, &len);

    if (err == CHOIR_OK)
        outpost_send_up(outpost, outpost->sealed, len);
    return err;
}

static enum choir_err take_bulk(struct outpost *outpost, const struct link_event *event)
{
    struct bulk_message message;
    bool changed = false;
    enum choir_err err = bulk_decode(event->bytes, event->len, &message);

    if (err != CHOIR_OK) {
        outpost_reject(outpost, "a bulk message cannot be read");
        return CHOIR_OK;
    }
    outpost->pumped_ms = 0; // an answer may be due
    if (larder_is_fetching(outpost->larder, message.id))
        err = larder_take(outpost->larder, &message, now_ms(), &changed);
    else if (outpost->sender != NULL &&
             memcmp(message.id, source_id(outpost->tally.source), HASH_BYTES) == 0)
        err = sender_take(outpost->sender, &message, now_ms());
    if (err == CHOIR_ERR_FORGED)
        outpost_reject(outpost, "a chunk of the model is not what was announced");
    if (err == CHOIR_ERR_IO || err == CHOIR_ERR_MEMORY)
        return err;
    return changed ? outpost_serve_model(outpost) : CHOIR_OK;
}

static enum choir_err reconnected(struct outpost *outpost, enum link_channel channel)
{
    if (channel == LINK_CONTROL) {
        outpost->have_ms = 0; // it may have started anew
        outpost->said_up = true;
        LOG_EVENT(LOG_INFO, "aggregator_reached",
                  log_text("aggregator", link_endpoint(outpost->aggregator, LINK_CONTROL)));
        return CHOIR_OK;
    }
    larder_reopen(outpost->larder);
    return outpost->sender == NULL ? CHOIR_OK : outpost_serve_sum(outpost);
}

enum choir_err outpost_take_up(struct outpost *outpost, const struct link_event *event)
{
    switch (event->kind) {
    case LINK_MESSAGE:
        if (event->channel == LINK_BULK)
            return take_bulk(outpost, event);
        return relay_is_letter(event->bytes, event->len)
                   ? outpost_take_question(outpost, event->bytes, event->len)
                   : take_frame(outpost, event);
    case LINK_UP:
        return reconnected(outpost, event->channel);
    case LINK_DOWN:
        if (event->channel == LINK_CONTROL && outpost->said_up)
            LOG_EVENT(LOG_WARNING, "aggregator_lost",
                      log_text("next", "it is tried again and again"));
        outpost->said_up = outpost->said_up && event->channel != LINK_CONTROL;
        return CHOIR_OK;
    case LINK_REFUSED:
        LOG_EVENT(LOG_ERROR, "not_enrolled",
                  log_text("message", "the aggregator does not know this relay: does it have the "
                                      "newest roster?"));
        return CHOIR_OK;
    case LINK_WRONG_KEY:
        LOG_EVENT(LOG_ERROR, "not_the_aggregator",
                  log_text("message", "who answers there does not have the aggregator's key"));
        return CHOIR_OK;
    case LINK_TIMEOUT:
    case LINK_READABLE:
    case LINK_INTRUDER:
        return CHOIR_OK;
    }
    return CHOIR_OK;
}

static enum choir_err say_what_is_here(struct outpost *outpost, uint64_t now)
{
    const struct lookout *lookout = &outpost->lookout;
    struct relay_letter *have = &outpost->letter;

    if (!lookout->open || (!outpost->have_due && now - outpost->have_ms < HAVE_EVERY_MS))
        return CHOIR_OK;
    memset(have, 0, sizeof *have);
    have->kind = RELAY_HAVE;
    have->relay = outpost->self->id;
    have->roster_epoch = outpost->roster.epoch;
    memcpy(have->run, lookout->run, sizeof have->run);
    have->round = lookout->round;
    have->attempt = lookout->attempt;
    for (uint32_t site = 1; site <= ROSTER_SITES_MAX; site++) {
        struct held *held = &outpost->held[site];

        if (!held->any || (!held->whole && !held->came))
            continue;
        have->vector[have->n].site = site;
        have->vector[have->n].whole = held->whole;
        memcpy(have->vector[have->n++].root, held->root, HASH_BYTES);
        held->came = false;
    }
    outpost->have_ms = now;
    outpost->have_due = false;
    return have->n == 0 ? CHOIR_OK : outpost_send(outpost, have);
}

static enum choir_err next_bulk(struct outpost *outpost, uint64_t now, bool *model, size_t *len)
{
    enum choir_err err =
        larder_next(outpost->larder, now, outpost->bulk, sizeof outpost->bulk, len);

    *model = err == CHOIR_OK;
    if (err != CHOIR_ERR_AGAIN || outpost->sender == NULL)
        return err;
    return sender_next(outpost->sender, now, outpost->bulk, sizeof outpost->bulk, len);
}

enum choir_err outpost_pump_up(struct outpost *outpost, uint64_t now_ms)
{
    enum choir_err err = say_what_is_here(outpost, now_ms);

    for (int burst = 0; err == CHOIR_OK && burst < PUMP_BURST; burst++) {
        bool model = false;
        size_t len = 0;

        err = next_bulk(outpost, now_ms, &model, &len);
        if (err != CHOIR_OK)
            return err == CHOIR_ERR_AGAIN ? CHOIR_OK : err;
        if (link_send(outpost->aggregator, ROSTER_AGGREGATOR, LINK_BULK, outpost->bulk, len) ==
            CHOIR_OK)
            continue;
        if (model)
            larder_unsent(outpost->larder);
        else
            sender_unsent(outpost->sender);
        return CHOIR_OK;
    }
    if (err == CHOIR_OK)
        outpost->pumped_ms = 0; // more is waiting
    return err;
}

enum choir_err outpost_recall(struct outpost *outpost)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum lookout_news news = LOOKOUT_NOTHING;
    enum choir_err err;
    int fd = openat(outpost->folder, round_letter, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return CHOIR_OK; // the first start
    err = file_read_fd(fd, ENVELOPE_BYTES_MAX, &bytes, &len);
    close(fd);
    if (err != CHOIR_OK)
        return err == CHOIR_ERR_FORMAT ? CHOIR_OK : err;
    // One of another roster is of no use any more.
    if (lookout_down(&outpost->lookout, bytes, len, &news) == CHOIR_OK && news == LOOKOUT_ROUND)
        err = want_model(outpost);
    free(bytes);
    return err == CHOIR_OK ? outpost_recall_sum(outpost) : err;
}
