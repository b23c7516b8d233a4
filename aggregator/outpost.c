#include "aggregator/outpost.h"

#include <string.h>

#include "aggregator/outpost_state.h"
#include "base/now.h"
#include "ops/log.h"

enum {
    WAIT_MS = 100,
    EXPIRE_EVERY_MS = 600000,
    PUMP_EVERY_MS = 250, // transfers look whether something got lost
    PUMP_BURST = 16,     // bulk messages to one site before the next one has its turn
    EVENTS_BURST = 64,   // of one link before the other one has its turn
};

bool outpost_may_log(struct outpost *outpost, uint32_t site)
{
    struct quota *quota = &outpost->lines[site <= ROSTER_SITES_MAX ? site : 0];
    bool last, may = quota_take(quota, now_ms(), &last);

    if (may && last)
        LOG_EVENT(LOG_WARNING, "too_many_lines", log_whole("site", site),
                  log_text("text", "the next ones about it are left out for some seconds"));
    return may;
}

// A vector that comes twice, or after a restart, is on disk already.
static enum choir_err expect(struct outpost *outpost, const struct lookout_vector *vector)
{
    struct held *held = &outpost->held[vector->site];
    bool here = false, same = held->any && memcmp(held->root, vector->root, HASH_BYTES) == 0;
    enum choir_err err;

    if (same && held->whole)
        return CHOIR_OK;
    err = intake_expect(outpost->intake, vector->site, vector->root, vector->bytes, &here);
    if (err != CHOIR_OK)
        return err;
    held->any = true;
    held->whole = here;
    memcpy(held->root, vector->root, HASH_BYTES);
    outpost->have_due = outpost->have_due || here;
    outpost->pumped_ms = 0; // the site is asked for it at once
    return CHOIR_OK;
}

// A letter that cannot be sent now is sent again by its site, or said again by us.
void outpost_send_up(struct outpost *outpost, const uint8_t *bytes, size_t len)
{
    if (link_send(outpost->aggregator, ROSTER_AGGREGATOR, LINK_CONTROL, bytes, len) != CHOIR_OK)
        return;
}

// Upwards a letter goes as it is.
static enum choir_err take_letter(struct outpost *outpost, const struct link_event *event)
{
    struct lookout_vector vector;
    enum lookout_news news;
    enum choir_err err =
        lookout_up(&outpost->lookout, event->site, event->bytes, event->len, &vector, &news);

    if (err != CHOIR_OK) {
        if (outpost_may_log(outpost, event->site))
            LOG_EVENT(LOG_WARNING, "message_rejected", log_whole("site", event->site),
                      log_text("why", err == CHOIR_ERR_REFUSED
                                          ? "the sender is not who the connection is"
                                          : choir_err_text(err)));
        return CHOIR_OK;
    }
    if (news == LOOKOUT_VECTOR)
        err = expect(outpost, &vector);
    outpost_send_up(outpost, event->bytes, event->len);
    return err;
}

// A model that is not here yet is remembered; one that will not come is refused.
static void put_off(struct outpost *outpost, uint32_t site, const struct bulk_message *message)
{
    struct bulk_message refusal = {.kind = BULK_REFUSED, .code = BULK_UNKNOWN};
    struct held *held = &outpost->held[site];
    size_t len = 0;

    if (larder_is_fetching(outpost->larder, message->id)) {
        held->waiting = true;
        memcpy(held->wanted, message->id, HASH_BYTES);
        return;
    }
    memcpy(refusal.id, message->id, HASH_BYTES);
    bulk_encode(&refusal, outpost->bulk, sizeof outpost->bulk, &len);
    if (link_send(outpost->sites, site, LINK_BULK, outpost->bulk, len) != CHOIR_OK)
        return; // the site asks again
}

enum choir_err outpost_serve_model(struct outpost *outpost)
{
    const struct source *source = larder_source(outpost->larder);
    struct bulk_message fetch = {.kind = BULK_FETCH};
    enum choir_err err = CHOIR_OK;

    intake_serve(outpost->intake, source);
    outpost->pumped_ms = 0;
    if (source == NULL)
        return CHOIR_OK;
    LOG_EVENT(LOG_INFO, "model_served", log_hex("model", source_id(source), 8));
    memcpy(fetch.id, source_id(source), HASH_BYTES);
    for (uint32_t site = 1; err == CHOIR_OK && site <= ROSTER_SITES_MAX; site++) {
        struct held *held = &outpost->held[site];
        enum intake_news news;

        if (!held->waiting || memcmp(held->wanted, fetch.id, HASH_BYTES) != 0)
            continue;
        held->waiting = false;
        err = intake_take(outpost->intake, site, &fetch, now_ms(), &news);
    }
    return err == CHOIR_ERR_PEER || err == CHOIR_ERR_FORGED ? CHOIR_OK : err;
}

static void note_news(struct outpost *outpost, uint32_t site, enum intake_news news)
{
    struct held *held = &outpost->held[site];

    if (news == INTAKE_CAME)
        held->came = true;
    if (news != INTAKE_WHOLE)
        return;
    held->whole = true;
    outpost->have_due = true;
    LOG_EVENT(LOG_INFO, "vector_here", log_whole("site", site),
              log_whole("round", outpost->lookout.round));
}

static enum choir_err take_chunk(struct outpost *outpost, const struct link_event *event)
{
    struct bulk_message message;
    enum intake_news news = INTAKE_NOTHING;
    enum choir_err err = bulk_decode(event->bytes, event->len, &message);

    if (err == CHOIR_OK)
        err = intake_take(outpost->intake, event->site, &message, now_ms(), &news);
    if (err == CHOIR_ERR_PEER && message.kind == BULK_FETCH)
        put_off(outpost, event->site, &message);
    else if ((err == CHOIR_ERR_FORMAT || err == CHOIR_ERR_FORGED) &&
             outpost_may_log(outpost, event->site))
        LOG_EVENT(LOG_WARNING, "chunk_rejected", log_whole("site", event->site), log_err(err));
    if (err == CHOIR_ERR_IO || err == CHOIR_ERR_MEMORY)
        return err;
    outpost->pumped_ms = 0; // an answer may be due
    note_news(outpost, event->site, news);
    return CHOIR_OK;
}

static enum choir_err take_down(struct outpost *outpost, const struct link_event *event)
{
    switch (event->kind) {
    case LINK_MESSAGE:
        return event->channel == LINK_CONTROL ? take_letter(outpost, event)
                                              : take_chunk(outpost, event);
    case LINK_INTRUDER:
        if (outpost_may_log(outpost, 0))
            LOG_EVENT(LOG_WARNING, "unknown_key_refused",
                      log_text("next", "if this is a site of this relay, put it on the roster as "
                                       "one of its sites"));
        return CHOIR_OK;
    case LINK_UP:
        if (event->channel == LINK_BULK)
            intake_reopen(outpost->intake, event->site);
        return CHOIR_OK;
    case LINK_TIMEOUT:
    case LINK_DOWN:
    case LINK_REFUSED:
    case LINK_WRONG_KEY:
    case LINK_READABLE:
        return CHOIR_OK;
    }
    return CHOIR_OK;
}

static void pump_site(struct outpost *outpost, uint32_t site, uint64_t now)
{
    for (int burst = 0; burst < PUMP_BURST; burst++) {
        size_t len = 0;

        if (intake_next(outpost->intake, site, now, outpost->bulk, sizeof outpost->bulk, &len) !=
            CHOIR_OK)
            return;
        if (link_send(outpost->sites, site, LINK_BULK, outpost->bulk, len) != CHOIR_OK) {
            intake_unsent(outpost->intake, site);
            return;
        }
    }
    outpost->pumped_ms = 0; // more is waiting
}

static enum choir_err pump(struct outpost *outpost)
{
    uint64_t now = now_ms();

    if (now < outpost->pumped_ms + PUMP_EVERY_MS)
        return CHOIR_OK;
    outpost->pumped_ms = now;
    for (size_t i = 0; i < outpost->roster.n_sites; i++)
        if (outpost->roster.sites[i].relay == outpost->self->id)
            pump_site(outpost, outpost->roster.sites[i].id, now);
    return outpost_pump_up(outpost, now);
}

// Masked vectors are kept no longer than was stated.
static void expire(struct outpost *outpost)
{
    if (now_ms() < outpost->expired_ms + EXPIRE_EVERY_MS)
        return;
    outpost->expired_ms = now_ms();
    retention_expire(outpost->retention, now_unix());
}

typedef enum choir_err take_event(struct outpost *outpost, const struct link_event *event);

// What waits on one link, but not more than the other one can wait for.
static enum choir_err drain(struct outpost *outpost, struct link *link, take_event *take)
{
    enum choir_err err = CHOIR_OK;

    for (int burst = 0; err == CHOIR_OK && burst < EVENTS_BURST; burst++) {
        struct link_event event;

        err = link_next(link, 0, &event);
        if (err != CHOIR_OK || event.kind == LINK_TIMEOUT)
            return err;
        err = take(outpost, &event);
    }
    return err;
}

enum choir_err outpost_run(struct outpost *outpost, const volatile sig_atomic_t *stop)
{
    enum choir_err err = CHOIR_OK;

    while (err == CHOIR_OK && !*stop) {
        err = link_wait(outpost->sites, outpost->aggregator, outpost->pumped_ms == 0 ? 0 : WAIT_MS);
        if (err == CHOIR_OK)
            err = drain(outpost, outpost->sites, take_down);
        if (err == CHOIR_OK)
            err = drain(outpost, outpost->aggregator, outpost_take_up);
        if (err == CHOIR_OK)
            err = pump(outpost);
        expire(outpost);
    }
    if (err != CHOIR_OK)
        LOG_EVENT(LOG_ERROR, "stopping", log_err(err),
                  log_text("next", "free disk or memory and start again: what came in is kept"));
    return err;
}
