/* intake - the sites' vectors as they come in over the bulk link, and the models that go out.
 *
 * A vector is spooled chunk by chunk under its Merkle root and counts only when it is whole,
 * verified and durable. It is named by site and root, so after a restart it is found again,
 * and a site that resumes sends only what is missing. Models are served by their hash.
 * One object belongs to one thread.
 */
#ifndef CHOIR_AGGREGATOR_INTAKE_H
#define CHOIR_AGGREGATOR_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "wire/message.h"
#include "wire/transfer.h"

struct intake;

/* Keeps spool files in `folder`, which exists; n_sites share what is under way at once. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err intake_open(const char *folder, size_t n_sites,
                                            struct intake **out);
void intake_close(struct intake *intake);

/* From now on takes the vector with this root from `site`, or the sum of a relay; the one expected before is dropped.
 * *here tells that it is already on disk, whole and verified: the site is told so. */
CHOIR_MUST_CHECK enum choir_err intake_expect(struct intake *intake, uint32_t site,
                                              const uint8_t root[static HASH_BYTES], uint64_t bytes,
                                              bool *here);

/* Takes nothing more from `site`; what is whole stays on disk until intake_clear(). */
void intake_drop(struct intake *intake, uint32_t site);

/* Serves `source` (borrowed until replaced; NULL: nothing) under its id to every site. */
void intake_serve(struct intake *intake, const struct source *source);

/* The connection of `site` is new: both directions begin again where they stopped. */
void intake_reopen(struct intake *intake, uint32_t site);

enum intake_news { INTAKE_NOTHING, INTAKE_CAME, INTAKE_WHOLE };

/* One bulk message of `site`. INTAKE_CAME: a chunk more; INTAKE_WHOLE: the vector is complete,
 * verified and durable, once. Fails with CHOIR_ERR_PEER or CHOIR_ERR_FORGED (of this message
 * nothing was kept) or CHOIR_ERR_IO (the disk failed). */
CHOIR_MUST_CHECK enum choir_err intake_take(struct intake *intake, uint32_t site,
                                            const struct bulk_message *message, uint64_t now_ms,
                                            enum intake_news *news);

/* The next message for `site` into to[0..*len), max >= BULK_BYTES_MAX; CHOIR_ERR_AGAIN: none now.
 * intake_unsent(): it could not be sent and will be given again. */
CHOIR_MUST_CHECK enum choir_err intake_next(struct intake *intake, uint32_t site, uint64_t now_ms,
                                            uint8_t *to, size_t max, size_t *len);
void intake_unsent(struct intake *intake, uint32_t site);

/* A read-only descriptor of the whole vector, the caller's. Fails with CHOIR_ERR_MISSING. */
CHOIR_MUST_CHECK enum choir_err intake_file(const struct intake *intake, uint32_t site,
                                            const uint8_t root[static HASH_BYTES], int *fd);

/* U is fixed: removes every vector, whole or not, of sites that are not in `sites`, and vectors of
 * earlier attempts. Nothing more is taken from the others. Fails with CHOIR_ERR_IO if one is left. */
CHOIR_MUST_CHECK enum choir_err intake_keep_only(struct intake *intake,
                                                 const struct site_set *sites);

/* Moves a whole vector to `folder`, on the same disk, as `name`; it is not here any more. Fails
 * with CHOIR_ERR_MISSING or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err intake_give(struct intake *intake, uint32_t site,
                                            const uint8_t root[static HASH_BYTES], int folder,
                                            const char *name);

/* Removes every spool file: the round is over. */
void intake_clear(struct intake *intake);

#endif
