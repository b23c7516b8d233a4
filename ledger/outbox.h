/* outbox - the folder of update bytes, each file named by its SHA-256 in hex.
 *
 * A file gets its name only when its bytes are on the disk; the folder is fsynced after the
 * rename. Which files are charged is the ledger's knowledge. Used inside ledger/ only.
 *
 * Where a function sets *fatal an fsync failed: nobody knows what is on the disk, and nothing
 * may be tried again before a restart.
 */
#ifndef CHOIR_LEDGER_OUTBOX_H
#define CHOIR_LEDGER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"

/* Makes DIR/outbox if needed and opens it. */
CHOIR_MUST_CHECK enum choir_err outbox_open(const char *dir, int *folder);

/* A new empty file, not yet named by its content; an unfinished one of before is removed. */
CHOIR_MUST_CHECK enum choir_err outbox_begin(int folder, int *fd);
/* Makes the bytes durable under their digest. Closes fd, whatever the result. */
CHOIR_MUST_CHECK enum choir_err outbox_keep(int folder, int fd,
                                            const uint8_t digest[static HASH_BYTES], bool *fatal);
/* Throws the unfinished file away. Closes fd. */
void outbox_drop(int folder, int fd);

/* A descriptor to read from, at the beginning. Fails with CHOIR_ERR_FORGED if the file is not
 * there or its bytes are not those of the digest. */
CHOIR_MUST_CHECK enum choir_err outbox_read(int folder, const uint8_t digest[static HASH_BYTES],
                                            int *fd);
void outbox_erase(int folder, const uint8_t digest[static HASH_BYTES]);

/* Says whether the file of this digest stays. */
typedef enum choir_err outbox_wanted(void *context, const uint8_t digest[static HASH_BYTES],
                                     bool *wanted);
/* Removes everything from the folder that is not wanted. */
CHOIR_MUST_CHECK enum choir_err outbox_sweep(int folder, outbox_wanted *ask, void *context);

#endif
