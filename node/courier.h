/* courier - the site's side of the network: carries out what the round's state machine says.
 *
 * Holds the site's keys and its connections; asks the vault through the hatch for everything that
 * has to do with data, budget or disk. What it is told by the aggregator goes to the machine
 * (round/site.h) only after its signature was checked against the roster.
 *
 * With secure aggregation it also puts the masks on the update, in slices between two events, and
 * holds the secrets of the attempt (in the machine, in locked memory).
 *
 * One courier belongs to one thread.
 */
#ifndef CHOIR_NODE_COURIER_H
#define CHOIR_NODE_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "node/hatch.h"
#include "node/role.h"
#include "wire/link.h"
#include "wire/roster.h"

struct courier;

/* Borrowed for the courier's life. */
struct courier_parts {
    const struct roster *roster;
    const struct roster_site *self;
    const uint8_t *sign_secret; // SIGN_SECRET_BYTES
    struct link *link;
    int vault;   // channel
    int scratch; // for masked vectors, readable and writable; -1: none
};

/* Asks the vault for what JOIN needs and waits for it. Fails with CHOIR_ERR_PEER (the vault is
 * gone) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err courier_new(const struct courier_parts *parts,
                                            struct courier **out);
void courier_free(struct courier *courier);

/* One event of the link, LINK_TIMEOUT too; LINK_READABLE of the vault's channel included. Then
 * some milliseconds of what courier_is_busy() is about. Fails with CHOIR_ERR_PEER
 * (the vault is gone or answers nonsense), CHOIR_ERR_IO or CHOIR_ERR_MEMORY: the process ends. */
CHOIR_MUST_CHECK enum choir_err courier_take(struct courier *courier,
                                             const struct link_event *event, uint64_t now_ms);

/* Time passed: at least every 100 ms. Sends chunks, asks the vault again. Fails likewise. */
CHOIR_MUST_CHECK enum choir_err courier_tick(struct courier *courier, uint64_t now_ms);

/* True while the courier has work of its own (masks): courier_take() again without waiting. */
bool courier_is_busy(const struct courier *courier);

/* Tells the aggregator that this site goes away on purpose. */
void courier_leave(struct courier *courier);

/* What the site is doing and why it waits. */
void courier_report(const struct courier *courier, struct role_report *report);

#endif
