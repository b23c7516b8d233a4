/* What the hub does with relays: letters to and from their sites, what they have, their sums. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/hub_state.h"
#include "base/now.h"
#include "ops/log.h"
#include "wire/envelope.h"

// What cannot be sent now is sent again when its answer stays away.
static void try_send(struct hub *hub, uint32_t peer, const uint8_t *bytes, size_t len)
{
    if (link_send(hub->link, peer, LINK_CONTROL, bytes, len) != CHOIR_OK)
        return;
}

// One frame for all sites of one relay among `to`.
static enum choir_err send_through(struct hub *hub, const struct roster_relay *relay,
                                   const uint32_t *to, size_t n, const uint8_t *bytes, size_t len)
{
    struct site_set *sites = &hub->below;
    size_t frame_len = 0;
    uint8_t *frame;

    sites->n = 0;
    for (size_t i = 0; i < n; i++)
        if (collection_relay(hub->collection, to[i]) == relay)
            site_set_add(sites, to[i]);
    if (sites->n == 0)
        return CHOIR_OK;
    frame = malloc(RELAY_FRAME_HEAD_MAX + len);
    if (frame == NULL)
        return CHOIR_ERR_MEMORY;
    relay_frame_make(sites, bytes, len, frame, &frame_len);
    try_send(hub, relay->id, frame, frame_len);
    free(frame);
    return CHOIR_OK;
}

enum choir_err hub_send(struct hub *hub, const uint32_t *to, size_t n, const uint8_t *bytes,
                        size_t len)
{
    struct site_set *here = &hub->below;
    enum choir_err err;

    here->n = 0;
    for (size_t i = 0; i < n; i++)
        if (collection_relay(hub->collection, to[i]) == NULL)
            here->id[here->n++] = to[i];
    err = post_put(hub->post, here->id, here->n, bytes, len, now_ms());
    for (size_t i = 0; err == CHOIR_OK && i < hub->roster.n_relays; i++)
        err = send_through(hub, &hub->roster.relays[i], to, n, bytes, len);
    return err;
}

static struct collection_round round_of(const struct hub *hub, uint64_t round, uint32_t attempt)
{
    struct collection_round found = {.round = round, .attempt = attempt};

    memcpy(found.run, hub->run, sizeof found.run);
    return found;
}

enum choir_err hub_expect_below(struct hub *hub, const struct gather_effect *effect)
{
    struct collection_round round = round_of(hub, effect->upload.round, effect->upload.attempt);
    struct pending *pending;

    if (!collection_expect(hub->collection, &round, effect->upload.site, effect->upload.root))
        return CHOIR_OK;
    pending = hub_pending(hub, GATHER_UPLOADED);
    if (pending == NULL)
        return CHOIR_ERR_MEMORY;
    pending->site = effect->upload.site;
    memcpy(pending->hash, effect->upload.root, HASH_BYTES);
    return CHOIR_OK;
}

static void reject(struct hub *hub, uint32_t relay, const char *why)
{
    if (hub_may_log(hub, relay))
        LOG_EVENT(LOG_WARNING, "relay_rejected", log_whole("relay", relay), log_text("why", why));
}

static enum choir_err take_have(struct hub *hub, const struct relay_letter *have)
{
    enum choir_err err = CHOIR_OK;

    for (size_t i = 0; err == CHOIR_OK && i < have->n; i++) {
        enum collection_news news = collection_have(hub->collection, have, i);
        struct gather_event event;

        if (news == COLLECTION_NOTHING)
            continue;
        event = hub_event(hub, news == COLLECTION_WHOLE ? GATHER_UPLOADED : GATHER_UPLOAD_PROGRESS);
        event.site = have->vector[i].site;
        memcpy(event.hash, have->vector[i].root, HASH_BYTES);
        err = hub_step(hub, &event);
    }
    return err;
}

static enum choir_err take_answer(struct hub *hub, const struct relay_letter *answer)
{
    bool here = false;
    enum choir_err err = collection_answer(hub->collection, answer);

    if (err == CHOIR_ERR_REFUSED)
        reject(hub, answer->relay, "it answers what it was not asked");
    if (err != CHOIR_OK)
        return CHOIR_OK; // that a relay has no sum, hub_collect() finds
    err = intake_expect(hub->intake, answer->relay, answer->root, answer->bytes, &here);
    if (err == CHOIR_OK && here)
        collection_came(hub->collection, answer->relay, answer->root);
    hub->pumped_ms = 0; // the relay is asked for it at once
    return err;
}

enum choir_err hub_take_relay(struct hub *hub, const struct link_event *event)
{
    struct relay_letter *letter = &hub->letter;
    enum choir_err err = relay_open(event->bytes, event->len, &hub->roster, letter);

    if (err != CHOIR_OK || letter->relay != event->site || letter->kind == RELAY_SUM) {
        reject(hub, event->site,
               err != CHOIR_OK ? choir_err_text(err) : "the sender is not who the connection is");
        return CHOIR_OK;
    }
    return letter->kind == RELAY_HAVE ? take_have(hub, letter) : take_answer(hub, letter);
}

void hub_sum_came(struct hub *hub, uint32_t relay, const uint8_t root[static HASH_BYTES])
{
    LOG_EVENT(LOG_INFO, "relay_sum_here", log_whole("relay", relay),
              log_whole("round", hub->awaited.effect.merge.round));
    collection_came(hub->collection, relay, root);
}

bool hub_await_sums(struct hub *hub, const struct gather_effect *effect)
{
    struct awaited_sums *awaited = &hub->awaited;
    struct collection_wish wish = {.sites = effect->merge.sites,
                                   .roots = effect->merge.roots,
                                   .lane_bits = (uint16_t)hub->study->plan->update.lane_bits,
                                   .bytes = global_update_bytes(hub->study->global)};

    wish.round = round_of(hub, effect->merge.round, effect->merge.attempt);
    awaited->n = collection_begin(hub->collection, &wish, now_ms(),
                                  (uint64_t)hub->config->relay_wait_s * 1000);
    awaited->active = awaited->n > 0;
    if (!awaited->active)
        return false;
    awaited->sites = *effect->merge.sites;
    memcpy(awaited->roots, effect->merge.roots, awaited->sites.n * sizeof awaited->roots[0]);
    awaited->effect = *effect;
    awaited->effect.merge.sites = &awaited->sites;
    awaited->effect.merge.roots = awaited->roots;
    LOG_EVENT(LOG_INFO, "relay_sums_awaited", log_whole("round", effect->merge.round),
              log_whole("relays", awaited->n), log_whole("seconds", hub->config->relay_wait_s));
    return true;
}

void hub_await_nothing(struct hub *hub)
{
    hub->awaited.active = false;
    collection_end(hub->collection);
}

static enum choir_err fail_merge(struct hub *hub)
{
    struct pending *pending = hub_pending(hub, GATHER_MERGE_FAILED);

    if (pending == NULL)
        return CHOIR_ERR_MEMORY;
    pending->round = hub->awaited.effect.merge.round;
    collection_fault(hub->collection, now_ms(), pending->text, sizeof pending->text);
    LOG_EVENT(LOG_ERROR, "relay_sum_missing", log_whole("round", pending->round),
              log_text("why", pending->text));
    hub_await_nothing(hub);
    return CHOIR_OK;
}

static enum choir_err ask(struct hub *hub)
{
    enum choir_err err = CHOIR_OK;

    while (err == CHOIR_OK && collection_ask(hub->collection, now_ms(), &hub->letter)) {
        size_t len = 0;

        err = relay_seal(&hub->letter, hub->secret, hub->sealed, &len);
        if (err == CHOIR_OK)
            try_send(hub, hub->letter.relay, hub->sealed, len);
    }
    return err;
}

enum choir_err hub_collect(struct hub *hub)
{
    enum choir_err err = CHOIR_OK;

    if (!hub->awaited.active)
        return CHOIR_OK;
    switch (collection_state(hub->collection, now_ms())) {
    case COLLECTION_WAITING:
        return ask(hub);
    case COLLECTION_READY:
        hub->awaited.active = false;
        err = hub_merge(hub, &hub->awaited.effect);
        break;
    case COLLECTION_FAILED:
        err = fail_merge(hub);
        break;
    case COLLECTION_IDLE:
        break;
    }
    return err == CHOIR_OK ? hub_drain(hub) : err;
}

enum choir_err hub_open_vectors(struct hub *hub, const struct gather_effect *effect, int *fds,
                                size_t *n)
{
    const struct site_set *sites = effect->merge.sites;
    enum choir_err err = CHOIR_OK;

    *n = 0;
    for (size_t i = 0; err == CHOIR_OK && i < sites->n; i++) {
        if (collection_relay(hub->collection, sites->id[i]) != NULL)
            continue;
        err = intake_file(hub->intake, sites->id[i], effect->merge.roots[i], &fds[*n]);
        *n += err == CHOIR_OK;
    }
    for (size_t i = 0; err == CHOIR_OK && i < hub->awaited.n; i++) {
        const uint8_t *root = NULL;
        uint32_t relay = 0;

        collection_sum(hub->collection, i, &relay, &root);
        err = intake_file(hub->intake, relay, root, &fds[*n]);
        *n += err == CHOIR_OK;
    }
    return err;
}

void hub_note_vectors(struct hub *hub, const struct gather_effect *effect)
{
    struct came_in *came_in = &hub->came_in;

    came_in->sites.n = 0;
    for (size_t i = 0; i < effect->merge.sites->n; i++) {
        uint32_t site = effect->merge.sites->id[i];

        if (collection_relay(hub->collection, site) != NULL)
            continue;
        memcpy(came_in->root[came_in->sites.n], effect->merge.roots[i], HASH_BYTES);
        came_in->sites.id[came_in->sites.n++] = site;
    }
}
