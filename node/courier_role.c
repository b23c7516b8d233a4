/* The courier as a process: unseals its keys, connects, seals itself, and carries messages. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "node/channel.h"
#include "node/courier.h"
#include "node/keyring.h"
#include "node/role.h"
#include "node/seal.h"
#include "ops/log.h"
#include "wire/endpoint.h"

enum {
    TICK_MS = 100,
    REFUSED_FOR_MS = 30000,    // turned away for so long from the start: a person must act
    EXPIRY_CHECK_MS = 60000,   //
    COMPLAIN_EVERY_MS = 30000, //
};

struct connection {
    struct link *link;
    struct courier *courier;
    struct role_report told; // what the supervisor knows
    bool was_up;
    uint64_t refused_ms, complained_ms, ticked_ms, checked_ms; // 0: never
};

static enum choir_err complain(enum choir_err err, const char *place, const char *message)
{
    LOG_EVENT(LOG_ERROR, "courier_cannot_run", log_text("place", place),
              log_text("message", message), log_err(err));
    return err;
}

static enum choir_err unseal(struct role *role, struct keyring **keys)
{
    const struct membership *member = &role->member;
    struct choir_diag diag = {0};
    enum choir_err err = keyring_open(member->config->keys, role->passphrase, keys, &diag);

    role_forget(role);
    if (err != CHOIR_OK)
        return complain(err, diag.place, diag.message);
    if (memcmp((*keys)->sign_public, member->self->sign_key, SIGN_PUBLIC_BYTES) != 0 ||
        memcmp((*keys)->curve_public, member->self->curve_key, CURVE_KEY_BYTES) != 0)
        return complain(CHOIR_ERR_REFUSED, member->config->keys,
                        "these are not the keys that the roster lists for this site");
    return CHOIR_OK;
}

// Names are resolved first, the file system is given up before the link starts its threads.
static enum choir_err connect_sealed(const struct membership *member, const struct keyring *keys,
                                     struct link **link)
{
    char control[ROSTER_ENDPOINT_MAX], bulk[ROSTER_ENDPOINT_MAX];
    const struct roster_aggregator *aggregator = &member->roster.aggregator;
    const struct roster_relay *relay = roster_relay_by_id(&member->roster, member->self->relay);
    const char *door[LINK_CHANNELS] = {relay == NULL ? aggregator->control : relay->control,
                                       relay == NULL ? aggregator->bulk : relay->bulk};
    struct link_settings settings = {.roster = &member->roster,
                                     .curve_secret = keys->curve_secret,
                                     .listener = member->self->relay,
                                     .control = control,
                                     .bulk = bulk};
    struct choir_diag diag = {0};
    bool complete;
    enum choir_err err = endpoint_resolve(door[LINK_CONTROL], control);

    if (err == CHOIR_OK)
        err = endpoint_resolve(door[LINK_BULK], bulk);
    if (err != CHOIR_OK) {
        (void)complain(err, door[LINK_CONTROL],
                       relay == NULL ? "the aggregator's address in the roster cannot be resolved"
                                     : "the relay's address in the roster cannot be resolved");
        return CHOIR_ERR_AGAIN; // the name server may be back soon
    }
    err = seal_files(-1, &complete);
    if (err != CHOIR_OK)
        return complain(err, "landlock", "the courier cannot be sealed on this system");
    err = link_connect(&settings, &diag, link);
    if (err != CHOIR_OK)
        return complain(err, diag.place, diag.message);
    err = seal_calls(SEAL_COURIER, NULL, 0);
    return err == CHOIR_OK
               ? err
               : complain(err, "seccomp", "the courier cannot be sealed on this system");
}

static bool same_report(const struct role_report *a, const struct role_report *b)
{
    const struct site_status *x = &a->status, *y = &b->status;

    return a->ready == b->ready && x->linked == y->linked && x->in_run == y->in_run &&
           memcmp(x->run, y->run, sizeof x->run) == 0 && x->round == y->round &&
           x->rounds == y->rounds && x->attempt == y->attempt && x->activity == y->activity &&
           memcmp(&a->cohort, &b->cohort, sizeof a->cohort) == 0 && strcmp(a->waits, b->waits) == 0;
}

static void tell_supervisor(struct connection *connection)
{
    struct role_report now;

    courier_report(connection->courier, &now);
    if (same_report(&now, &connection->told))
        return;
    if (channel_send(ROLE_SUPERVISOR, &now, sizeof now, -1) == CHOIR_OK)
        connection->told = now;
}

// CHOIR_ERR_PEER: the supervisor wants the courier to end.
static enum choir_err look_at_supervisor(const struct link_event *event)
{
    uint8_t nothing;
    int carried = -1;
    enum choir_err err;

    if (event->kind != LINK_READABLE || event->fd != ROLE_SUPERVISOR)
        return CHOIR_OK;
    err = channel_take(ROLE_SUPERVISOR, &nothing, sizeof nothing, 0, &carried);
    return err == CHOIR_ERR_AGAIN ? CHOIR_OK : CHOIR_ERR_PEER;
}

// Being turned away is said in words; from the very start and for long, it is final.
static void look_at_refusal(struct connection *connection, const struct link_event *event,
                            uint64_t now)
{
    struct role_report report;

    if (event->kind == LINK_UP) {
        connection->was_up = true;
        connection->refused_ms = 0;
    }
    if (event->kind != LINK_REFUSED && event->kind != LINK_WRONG_KEY)
        return;
    if (connection->refused_ms == 0)
        connection->refused_ms = now;
    if (connection->complained_ms != 0 && now - connection->complained_ms < COMPLAIN_EVERY_MS)
        return;
    connection->complained_ms = now;
    courier_report(connection->courier, &report);
    LOG_EVENT(LOG_ERROR, event->kind == LINK_REFUSED ? "not_enrolled" : "not_the_aggregator",
              log_text("message", report.waits));
}

static enum choir_err check_refusal(const struct connection *connection, uint64_t now)
{
    if (connection->was_up || connection->refused_ms == 0 ||
        now - connection->refused_ms < REFUSED_FOR_MS)
        return CHOIR_OK;
    return complain(CHOIR_ERR_REFUSED, "aggregator",
                    "it has turned this site away since the start: ask the coordinator whether its "
                    "roster has this site, then start the node again");
}

static enum choir_err check_expiry(struct connection *connection, const struct roster *roster,
                                   uint64_t now)
{
    if (now - connection->checked_ms < EXPIRY_CHECK_MS)
        return CHOIR_OK;
    connection->checked_ms = now;
    return roster_is_current(roster, now_unix())
               ? CHOIR_OK
               : complain(CHOIR_ERR_REFUSED, "roster",
                          "the roster has expired: ask the coordinator for a new one");
}

static enum choir_err tick(struct connection *connection, uint64_t now)
{
    enum choir_err err;

    if (now - connection->ticked_ms < TICK_MS)
        return CHOIR_OK;
    connection->ticked_ms = now;
    err = courier_tick(connection->courier, now);
    tell_supervisor(connection);
    return err;
}

static enum choir_err loop(struct connection *connection, const struct roster *roster)
{
    enum choir_err err = CHOIR_OK;

    while (err == CHOIR_OK) {
        struct link_event event;
        uint64_t now;

        err =
            link_next(connection->link, courier_is_busy(connection->courier) ? 0 : TICK_MS, &event);
        if (err != CHOIR_OK)
            return err;
        now = now_ms();
        if (look_at_supervisor(&event) != CHOIR_OK) {
            courier_leave(connection->courier);
            return CHOIR_OK;
        }
        err = courier_take(connection->courier, &event, now);
        look_at_refusal(connection, &event, now);
        if (err == CHOIR_OK)
            err = check_refusal(connection, now);
        if (err == CHOIR_OK)
            err = tick(connection, now);
        if (err == CHOIR_OK)
            err = check_expiry(connection, roster, now);
    }
    return err;
}

static enum choir_err run(struct role *role, struct keyring **keys, struct connection *connection)
{
    const struct membership *member = &role->member;
    struct courier_parts parts = {
        .roster = &member->roster, .self = member->self, .vault = ROLE_PEER};
    enum choir_err err = unseal(role, keys);

    if (err != CHOIR_OK)
        return err;
    err = connect_sealed(member, *keys, &connection->link);
    if (err != CHOIR_OK)
        return err;
    parts.sign_secret = (*keys)->sign_secret;
    parts.link = connection->link;
    parts.scratch = role->scratch;
    err = courier_new(&parts, &connection->courier);
    if (err == CHOIR_OK)
        err = link_watch(connection->link, ROLE_PEER);
    if (err == CHOIR_OK)
        err = link_watch(connection->link, ROLE_SUPERVISOR);
    if (err != CHOIR_OK)
        return err == CHOIR_ERR_REFUSED ? CHOIR_ERR_IO : err;
    connection->checked_ms = now_ms();
    LOG_EVENT(LOG_INFO, "courier_ready",
              log_text("aggregator", link_endpoint(connection->link, LINK_CONTROL)));
    tell_supervisor(connection);
    return loop(connection, &member->roster);
}

int courier_role(const char *site_path, bool log_json)
{
    struct connection connection = {0};
    struct keyring *keys = NULL;
    struct role role;
    bool ready;
    enum choir_err err = role_begin(site_path, log_json, &role);

    if (err == CHOIR_OK)
        err = run(&role, &keys, &connection);
    ready = connection.courier != NULL;
    courier_free(connection.courier);
    link_close(connection.link);
    keyring_free(keys);
    role_release(&role);
    if (err == CHOIR_OK)
        return 0;
    if (err == CHOIR_ERR_REFUSED)
        return ROLE_EXIT_FINAL;
    return ready || err == CHOIR_ERR_AGAIN || err == CHOIR_ERR_PEER ? ROLE_EXIT_AGAIN
                                                                    : ROLE_EXIT_FINAL;
}
