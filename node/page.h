/* page - what a site's operator reads about the budget: spent, set aside, left, and what fits. */
#ifndef CHOIR_NODE_PAGE_H
#define CHOIR_NODE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "configs/site.h"
#include "ledger/ledger.h"
#include "node/home.h"

/* The page, zero-terminated, *text the caller's (free): words for people, or one JSON object with
 * data_id, epsilon_budget, delta, epsilon, epsilon_reserved (both null where there is no finite
 * one), rounds_charged, rounds_reserved, and plans[] {name, plan_hash, rounds, rounds_fit,
 * mask_suite, least_sites, may_collude}. `collusion` is the roster's; NULL where there is no roster
 * to read, and what depends on it is left out.
 * Fails with CHOIR_ERR_MEMORY or what the ledger says. */
CHOIR_MUST_CHECK enum choir_err page_budget(struct ledger *ledger, const struct site_config *config,
                                            const uint32_t *collusion, const struct home *home,
                                            bool json, char **text);

#endif
