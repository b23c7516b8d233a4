/* link_state - the inside of a link, shared by link.c (waiting, receiving) and link_send.c. Private to
 * wire/.
 */
#ifndef CHOIR_WIRE_LINK_STATE_H
#define CHOIR_WIRE_LINK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "wire/gate.h"
#include "wire/link.h"
#include "wire/plug.h"
#include "wire/route.h"

// The state of one connection of a connecting link.
struct line {
    bool up;
    bool greet_due;            // connected, and the greeting not yet sent
    bool told;                 // the failure has been reported: once until it works again
    uint64_t again_ms;         // when to connect anew; 0: libzmq sees to it
    uint32_t refused_pause_ms; // before trying again after a refusal; doubles
};

struct link {
    struct roster roster;
    struct gate *gate; // listening side only
    struct plug plug[LINK_CHANNELS];
    char endpoint[LINK_CHANNELS][ROSTER_ENDPOINT_MAX];
    uint32_t listener;               // whose door this is
    bool crowd;                      // a relay is at the other end, or this is one
    struct route *routes;            // listening side: roster.sites, then roster.relays
    struct line line[LINK_CHANNELS]; // connecting side
    uint32_t pause_ms, longest_ms;   // connecting side: before trying again
    int watched[LINK_WATCH_MAX];
    size_t n_watched;
    size_t turn; // who is looked at first: moves on, so that nobody starves
    zmq_msg_t message;
    struct link_counts counts;
};

/* link_send.c: the largest message that this end takes (`inward`) or sends. */
size_t link_largest(const struct link *link, enum link_channel channel, bool inward);

#endif
