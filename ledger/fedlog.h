/* fedlog - the federation's log, kept by the aggregator: what was run, with whom, to what end.
 *
 * The same entries, tree and signed heads as a site's ledger; one transaction per append. The
 * database file also serves as the aggregator's anchor for "what did I already announce".
 * A failed write ends the log: CHOIR_ERR_IO from then on. One log belongs to one thread.
 */
#ifndef CHOIR_LEDGER_FEDLOG_H
#define CHOIR_LEDGER_FEDLOG_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/sign.h"
#include "ledger/entry.h"
#include "ledger/head.h"

struct fedlog;

/* Makes the log file at `path` with its GENESIS; CHOIR_ERR_REFUSED if there is one. */
CHOIR_MUST_CHECK enum choir_err fedlog_create(const char *path, const char *name,
                                              const uint8_t federation[static ENTRY_ID_BYTES],
                                              const uint8_t public_key[static SIGN_PUBLIC_BYTES],
                                              const uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* Opens and checks it; the key must be that of the GENESIS entry. Fails with CHOIR_ERR_MISSING,
 * CHOIR_ERR_FORGED, CHOIR_ERR_AGAIN (open elsewhere) or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err fedlog_open(const char *path,
                                            const uint8_t public_key[static SIGN_PUBLIC_BYTES],
                                            const uint8_t secret_key[static SIGN_SECRET_BYTES],
                                            struct fedlog **out);
void fedlog_close(struct fedlog *log);

/* Adds one entry and a new signed head; durable when CHOIR_OK is returned. entry->time is the
 * caller's. Fails with CHOIR_ERR_FORMAT for an entry that is not one of a log. */
CHOIR_MUST_CHECK enum choir_err fedlog_append(struct fedlog *log, const struct entry *entry);

void fedlog_head(const struct fedlog *log, struct head *head);

/* Every entry in order; stops at the first `visit` that is not CHOIR_OK. */
typedef enum choir_err fedlog_visit(void *context, uint64_t index, const struct entry *entry);
CHOIR_MUST_CHECK enum choir_err fedlog_each(struct fedlog *log, fedlog_visit *visit, void *context);

/* Writes the export file (FORMAT.md, section 3), replaced atomically. */
CHOIR_MUST_CHECK enum choir_err fedlog_export(struct fedlog *log, int dir_fd, const char *path);

#endif
