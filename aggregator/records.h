/* records - the aggregator's journal on disk: records in order, each durable before it counts.
 *
 * SQLite, one connection (WAL, synchronous FULL, exclusive). A failed write is final: every
 * later call fails with CHOIR_ERR_IO and the program stops. One object belongs to one thread.
 */
#ifndef CHOIR_AGGREGATOR_RECORDS_H
#define CHOIR_AGGREGATOR_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct records;

/* Opens `path`, made if there is none. Fails with CHOIR_ERR_AGAIN (another process has it),
 * CHOIR_ERR_FORGED (the database is damaged), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err records_open(const char *path, struct records **out);
void records_close(struct records *records);

/* Durable when CHOIR_OK is returned. */
CHOIR_MUST_CHECK enum choir_err records_append(struct records *records, const uint8_t *record,
                                               size_t len);

/* Every record in order; stops at the first `visit` that is not CHOIR_OK. */
typedef enum choir_err records_visit(void *context, const uint8_t *record, size_t len);
CHOIR_MUST_CHECK enum choir_err records_each(struct records *records, records_visit *visit,
                                             void *context);

/* Forgets all records: before a new run. */
CHOIR_MUST_CHECK enum choir_err records_clear(struct records *records);

#endif
