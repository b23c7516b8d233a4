/* turns - whose transfer goes on now, when there are more than memory has room for.
 *
 * Each transfer keeps a chunk or more on its way, a quarter of a megabyte each: a thousand at once
 * would be as many queues full. So at most TURNS_MAX have their turn; one that makes no progress
 * for TURN_IDLE_MS loses it and waits as long before the next, so that sites that died hold up
 * nobody. Plain data, all zero at the start. */
#ifndef CHOIR_AGGREGATOR_TURNS_H
#define CHOIR_AGGREGATOR_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TURNS_MAX = 48, TURN_IDLE_MS = 5000 };

struct turns {
    size_t n; // that have their turn
};

/* Of one transfer. */
struct turn {
    bool has;
    uint64_t news_ms;  // when it last made progress
    uint64_t after_ms; // no new turn before this
};

/* True if this transfer, which has something to do, may go on. */
bool turns_take(struct turns *turns, struct turn *turn, uint64_t now_ms);

/* It has made progress. */
void turns_news(struct turn *turn, uint64_t now_ms);

/* It is over, or begins anew. */
void turns_end(struct turns *turns, struct turn *turn);

#endif
