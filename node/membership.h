/* membership - a node's settings and the roster it believes in, checked against each other. */
#ifndef CHOIR_NODE_MEMBERSHIP_H
#define CHOIR_NODE_MEMBERSHIP_H

#include "base/err.h"
#include "configs/site.h"
#include "wire/roster.h"

struct membership {
    struct site_config *config;
    struct roster roster;
    const struct roster_site *self; // in roster
};

/* Reads the settings at `site_path` and the roster they name: signed by the pinned root, valid
 * today, with this site's name in it and no seed that this site has no part in. On CHOIR_OK to be released. diag says what is wrong and
 * what to do. */
CHOIR_MUST_CHECK enum choir_err membership_load(const char *site_path, struct membership *out,
                                                struct choir_diag *diag);
/* Good for an all-zero one. */
void membership_release(struct membership *membership);

/* How many sites may collude with the aggregator, by the roster that the settings name, which may
 * have expired; false if it cannot be read. */
bool membership_collusion(const struct site_config *config, uint32_t *collusion);

#endif
