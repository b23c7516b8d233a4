/* route - where the ends of a link are: the door that listens, and the way back to each peer, which
 * changes with every connection. */
#ifndef CHOIR_WIRE_ROUTE_H
#define CHOIR_WIRE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/link.h"
#include "wire/roster.h"

enum { ROUTE_BYTES = 5 }; // what a ROUTER gives to peers that choose no routing id: ours do not

/* Who listens, as the roster has it; all NULL if there is no such relay. */
struct door {
    const uint8_t *curve_key;
    const char *endpoint[LINK_CHANNELS];
};

/* The door of ROSTER_AGGREGATOR or of a relay; borrowed from the roster. */
struct door door_of(const struct roster *roster, uint32_t listener);

/* The endpoint that the settings name, or that of the listener. */
const char *door_endpoint(const struct link_settings *settings, enum link_channel channel);

struct route {
    uint32_t peer; // a site or a relay
    bool known[LINK_CHANNELS];
    uint8_t id[LINK_CHANNELS][ROUTE_BYTES];
};

/* One unknown route for every site and relay of the roster; the caller's (free). NULL: memory. */
struct route *route_new(const struct roster *roster);

/* The route of `peer` among `routes` of that roster; NULL if it is not on it. */
struct route *route_of(struct route *routes, const struct roster *roster, uint32_t peer);

/* Copies into `routes` of `roster` what was known of those who keep their key. */
void route_keep(struct route *before, const struct roster *roster_before, struct route *routes,
                const struct roster *roster);

#endif
