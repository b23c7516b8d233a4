/* quorum - how many sites a round needs, so that no two survivor sets can both be opened.
 *
 * With c sites that may collude with the aggregator, two conflicting survivor sets would each
 * need T consents; corrupt sites sign both, honest ones a single one: 2 (T - c) <= n - c.
 * T > (n + c) / 2 makes that impossible.
 */
#ifndef CHOIR_ROUND_QUORUM_H
#define CHOIR_ROUND_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

enum { QUORUM_HONEST_MIN = 3 }; // honest sites whose updates hide each other

/* T: the least integer above (n + c) / 2, for a V0 of n sites. */
uint32_t quorum_threshold(uint32_t n, uint32_t c);

/* U_min, where `asked` is the largest of the plan's quorum and the minimum cohorts of the sites.
 * With masks on max(T, c + 3, asked): where n is less, no round can be opened. With masks off
 * max(T, min(n, c + 3), asked): with fewer than c + 3 sites nothing hides among three honest
 * ones; a site that minds says so with its minimum cohort. */
uint32_t quorum_minimum(uint32_t n, uint32_t c, uint32_t asked, bool masked);

#endif
