#include "wire/route.h"

#include <stdlib.h>
#include <string.h>

struct door door_of(const struct roster *roster, uint32_t listener)
{
    const struct roster_relay *relay = roster_relay_by_id(roster, listener);
    const struct roster_aggregator *aggregator = &roster->aggregator;

    if (listener == ROSTER_AGGREGATOR)
        return (struct door){aggregator->curve_key, {aggregator->control, aggregator->bulk}};
    if (relay == NULL)
        return (struct door){0};
    return (struct door){relay->curve_key, {relay->control, relay->bulk}};
}

const char *door_endpoint(const struct link_settings *settings, enum link_channel channel)
{
    const char *wanted = channel == LINK_CONTROL ? settings->control : settings->bulk;

    return wanted != NULL ? wanted
                          : door_of(settings->roster, settings->listener).endpoint[channel];
}

struct route *route_new(const struct roster *roster)
{
    size_t n = roster->n_sites + roster->n_relays;
    struct route *routes = calloc(n + 1, sizeof *routes); // never of size 0

    for (size_t i = 0; routes != NULL && i < n; i++)
        routes[i].peer =
            i < roster->n_sites ? roster->sites[i].id : roster->relays[i - roster->n_sites].id;
    return routes;
}

struct route *route_of(struct route *routes, const struct roster *roster, uint32_t peer)
{
    const struct roster_site *site = roster_by_id(roster, peer);
    const struct roster_relay *relay = site == NULL ? roster_relay_by_id(roster, peer) : NULL;

    if (site != NULL)
        return &routes[site - roster->sites];
    return relay == NULL ? NULL : &routes[roster->n_sites + (size_t)(relay - roster->relays)];
}

static const uint8_t *curve_key_of(const struct roster *roster, uint32_t peer)
{
    const struct roster_site *site = roster_by_id(roster, peer);
    const struct roster_relay *relay = site == NULL ? roster_relay_by_id(roster, peer) : NULL;

    if (site != NULL)
        return site->curve_key;
    return relay == NULL ? NULL : relay->curve_key;
}

void route_keep(struct route *before, const struct roster *roster_before, struct route *routes,
                const struct roster *roster)
{
    for (size_t i = 0; i < roster->n_sites + roster->n_relays; i++) {
        const uint8_t *key = curve_key_of(roster_before, routes[i].peer);
        const struct route *old = route_of(before, roster_before, routes[i].peer);

        if (key != NULL && old != NULL &&
            memcmp(key, curve_key_of(roster, routes[i].peer), CURVE_KEY_BYTES) == 0)
            routes[i] = *old;
    }
}
