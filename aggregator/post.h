/* post - letters on their way to sites, no faster than connections can be expected to take them.
 *
 * A list that every site gets is as long as there are sites: a thousand copies of it, each encrypted
 * for its connection, would take hundreds of megabytes of memory at once. So large letters wait
 * here, one copy for all of their receivers, and are handed to the link at POST_BYTES_PER_MS; small
 * ones go at once, also past those that wait: a site ignores what is not of its attempt any more.
 *
 * Belongs to one thread. */
#ifndef CHOIR_AGGREGATOR_POST_H
#define CHOIR_AGGREGATOR_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/link.h"

struct post;

enum {
    POST_SMALL = 16 << 10,        // bytes of a letter that goes at once
    POST_BYTES_PER_MS = 64 << 10, // 64 MiB/s: half of what a gigabit carries
    POST_BURST = 8 << 20,         // that may be handed out without a pause
};

/* `link` is kept. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err post_new(struct link *link, struct post **out);
void post_free(struct post *post);

/* Sends a copy of the letter to each of to[0..n), now or with the next calls of post_pump(). What
 * the link cannot take is lost: it is sent again when its answer stays away. A letter to a single
 * site that still waits for one of the same length is left out. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err post_put(struct post *post, const uint32_t *to, size_t n,
                                         const uint8_t *bytes, size_t len, uint64_t now_ms);

/* Hands out what is due. */
void post_pump(struct post *post, uint64_t now_ms);

/* Nothing waits. */
bool post_is_empty(const struct post *post);

#endif
