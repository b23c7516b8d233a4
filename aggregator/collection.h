/* collection - the vectors that lie at relays, and their sums, as the aggregator sees them.
 *
 * A pure machine: letters of relays and the time go in, questions come out. First it knows which
 * vectors a relay says it has, so that a round can go on; then, when a round is merged, it asks
 * each relay for the sum of exactly the vectors of U that are behind it, and takes no other
 * answer. Nothing here is journaled: after a restart the same questions are asked again, and a
 * relay answers the same question with the same bytes. One object belongs to one thread.
 */
#ifndef CHOIR_AGGREGATOR_COLLECTION_H
#define CHOIR_AGGREGATOR_COLLECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/relay.h"

struct collection;

/* `roster` is borrowed. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err collection_new(const struct roster *roster,
                                               struct collection **out);
void collection_free(struct collection *collection);

/* The relay of `site`; NULL: it connects to the aggregator itself. */
const struct roster_relay *collection_relay(const struct collection *collection, uint32_t site);

/* True if what `sender` signed may come over the connection of `peer`: a site's own, or that of the
 * relay that the roster gives it, and no other. A relay signs no envelopes. */
bool collection_may_speak(const struct collection *collection, uint32_t peer, uint32_t sender);

/* One attempt of one round. */
struct collection_round {
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round;
    uint32_t attempt;
};

/* From now on the vector of `site` with this root is awaited, at its relay. True if the relay has
 * said already that it is whole. */
bool collection_expect(struct collection *collection, const struct collection_round *round,
                       uint32_t site, const uint8_t root[static HASH_BYTES]);
/* Nothing is awaited from `site` any more. */
void collection_forget(struct collection *collection, uint32_t site);

/* What one entry of a HAVE means. */
enum collection_news {
    COLLECTION_NOTHING, // not awaited, or told before
    COLLECTION_CAME,    // chunks of an awaited vector came in at the relay
    COLLECTION_WHOLE,   // an awaited vector is whole there; once
};

/* Looks at have->vector[index]; the letter came over the connection of its relay. A site that is
 * not behind that relay is no news. */
enum collection_news collection_have(struct collection *collection, const struct relay_letter *have,
                                     size_t index);

/* The vectors of U, and what they are. */
struct collection_wish {
    struct collection_round round;
    const struct site_set *sites; // U
    uint8_t (*roots)[HASH_BYTES]; // beside sites->id
    uint16_t lane_bits;
    uint64_t bytes; // of a vector
};

/* Begins to ask for the sums, for `wait_ms` at most; a wish before is dropped. Returns how many
 * relays are asked: with 0 there is nothing to wait for. */
size_t collection_begin(struct collection *collection, const struct collection_wish *wish,
                        uint64_t now_ms, uint64_t wait_ms);
/* No more questions. */
void collection_end(struct collection *collection);

/* The next question to send, to question->relay; false: none is due now. */
bool collection_ask(struct collection *collection, uint64_t now_ms, struct relay_letter *question);

/* The sum of the relay's vectors. Fails with CHOIR_ERR_REFUSED if it answers no question, or one
 * of another round or other sites; CHOIR_ERR_MISSING if the relay has no sum (collection_fault()
 * says why). On CHOIR_OK the caller fetches the content answer->root, of answer->bytes. */
CHOIR_MUST_CHECK enum choir_err collection_answer(struct collection *collection,
                                                  const struct relay_letter *answer);

/* The sum with this root came in from `relay`, whole and verified. Others are ignored. */
void collection_came(struct collection *collection, uint32_t relay,
                     const uint8_t root[static HASH_BYTES]);

enum collection_state {
    COLLECTION_IDLE,    // no wish
    COLLECTION_WAITING, // for relays
    COLLECTION_READY,   // every sum is here
    COLLECTION_FAILED,  // collection_fault() says why
};

enum collection_state collection_state(const struct collection *collection, uint64_t now_ms);

/* Why a wish cannot be fulfilled: for people, in text[0..max). */
void collection_fault(const struct collection *collection, uint64_t now_ms, char *text, size_t max);

/* The sums that are here: relay and root of number `index`, below collection_begin()'s count. */
void collection_sum(const struct collection *collection, size_t index, uint32_t *relay,
                    const uint8_t **root);

#endif
