/* lookout - what a relay learns from the letters that pass it: the round that goes on, the model that
 * its sites will ask for, the vectors that they announce.
 *
 * It believes only what is signed: the aggregator's letters by the aggregator, a header by the
 * site whose connection it came over. No sockets, no disk.
 */
#ifndef CHOIR_AGGREGATOR_LOOKOUT_H
#define CHOIR_AGGREGATOR_LOOKOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/message.h"
#include "wire/roster.h"

/* Plain data after lookout_init(). */
struct lookout {
    const struct roster *roster; // borrowed
    uint32_t relay;              // who looks
    bool open;                   // a round was opened and not closed since
    bool has_model;
    uint64_t sequence; // of the newest ROUND_OPEN
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round;
    uint32_t attempt;
    uint16_t suite, lane_bits;
    uint64_t n_parameters;
    uint64_t bytes;            // of every vector
    uint8_t model[HASH_BYTES]; // to be served from now on
    struct message *message;   // room to decode; owned
};

enum lookout_news {
    LOOKOUT_NOTHING,
    LOOKOUT_ROUND,  // another round or attempt began; `model` may be another one, too
    LOOKOUT_OVER,   // this attempt gives no sum any more; vectors of it are of no use
    LOOKOUT_CLOSED, // the round was closed: its sum is in `model`, which is another one
    LOOKOUT_MODEL,  // `model` is another one
    LOOKOUT_VECTOR, // a vector of this round was announced
};

/* A vector that a site announced. */
struct lookout_vector {
    uint32_t site;
    uint8_t root[HASH_BYTES];
    uint64_t bytes;
};

/* Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err lookout_init(struct lookout *lookout, const struct roster *roster,
                                             uint32_t relay);
void lookout_release(struct lookout *lookout);

/* A letter on its way down. Fails with CHOIR_ERR_FORMAT, CHOIR_ERR_FORGED or CHOIR_ERR_REFUSED
 * (another epoch, or not the aggregator's): it is not to be passed on. */
CHOIR_MUST_CHECK enum choir_err lookout_down(struct lookout *lookout, const uint8_t *bytes,
                                             size_t len, enum lookout_news *news);

/* A letter on its way up, over the connection of `site`. Fails likewise; CHOIR_ERR_REFUSED also
 * when it was sent by somebody else. A header of another round is passed on and is no news: whom
 * it is for will say so. */
CHOIR_MUST_CHECK enum choir_err lookout_up(struct lookout *lookout, uint32_t site,
                                           const uint8_t *bytes, size_t len,
                                           struct lookout_vector *vector, enum lookout_news *news);

#endif
