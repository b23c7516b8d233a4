/* store - the aggregator's journal on disk: records in order, each durable before it counts.
 *
 * SQLite, one connection (WAL, synchronous FULL, exclusive). A failed write is final: every
 * later call fails with CHOIR_ERR_IO and the program stops. One store belongs to one thread.
 */
#ifndef CHOIR_AGGREGATOR_STORE_H
#define CHOIR_AGGREGATOR_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store;

/* Opens `path`, made if there is none. Fails with CHOIR_ERR_AGAIN (another process has it),
 * CHOIR_ERR_FORGED (the database is damaged), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err store_open(const char *path, struct store **out);
void store_close(struct store *store);

/* Durable when CHOIR_OK is returned. */
CHOIR_MUST_CHECK enum choir_err store_append(struct store *store, const uint8_t *record,
                                             size_t len);

/* Every record in order; stops at the first `visit` that is not CHOIR_OK. */
typedef enum choir_err store_visit(void *context, const uint8_t *record, size_t len);
CHOIR_MUST_CHECK enum choir_err store_each(struct store *store, store_visit *visit, void *context);

/* Forgets all records: before a new run. */
CHOIR_MUST_CHECK enum choir_err store_clear(struct store *store);

#endif
