/* retention - the masked vectors of closed rounds, kept for auditors for a stated time.
 *
 * With them and the proof of the round (round/proof.h) anybody can recompute the sum bit for bit;
 * by themselves they say nothing. One folder for each round, RUN-ROUND, and in it one file for
 * each site of the sum, SITE-ROOT.masked, with the Merkle root that the site signed. With 0 hours
 * only the newest round is kept, so that the disk holds two rounds at most: this one and the one
 * that comes in. Otherwise rounds older than that many hours are erased, and the oldest ones before
 * their time if the disk could not take another round.
 *
 * One object belongs to one thread.
 */
#ifndef CHOIR_AGGREGATOR_RETENTION_H
#define CHOIR_AGGREGATOR_RETENTION_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "wire/message.h"

struct retention;

/* Keeps its folders in `folder`, which exists, and erases what is due. Fails with CHOIR_ERR_IO or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err retention_open(const char *folder, uint32_t hours,
                                               uint64_t now_unix, struct retention **out);
void retention_close(struct retention *retention);

/* Erases what is due. */
void retention_expire(struct retention *retention, uint64_t now_unix);

/* Moves the vector of `site` with this root into the folder, as `name`. */
typedef enum choir_err retention_give(void *context, uint32_t site,
                                      const uint8_t root[static HASH_BYTES], int folder,
                                      const char *name);

/* Takes the vectors of a closed round, after what is due was erased. Fails with what `give`
 * failed with: CHOIR_ERR_MISSING after all others were taken; or with CHOIR_ERR_IO at once. */
CHOIR_MUST_CHECK enum choir_err retention_keep(struct retention *retention,
                                               const uint8_t run[static MESSAGE_RUN_BYTES],
                                               uint64_t round, const struct site_set *sites,
                                               const uint8_t (*roots)[HASH_BYTES],
                                               retention_give *give, void *context,
                                               uint64_t now_unix);

#endif
