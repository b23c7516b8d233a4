/* ledgerfile - the one-file form of a ledger or a log that auditors get; FORMAT.md, section 3.
 *
 * Reading checks form and bounds only; what it proves is checked by ledgerfile_check().
 */
#ifndef CHOIR_LEDGER_LEDGERFILE_H
#define CHOIR_LEDGER_LEDGERFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/entry.h"
#include "ledger/head.h"

enum {
    LEDGERFILE_BYTES_MAX = 256 << 20,
    LEDGERFILE_ENTRIES_MAX = 1 << 20,
};

struct ledgerfile_line {
    const uint8_t *salt; // ENTRY_SALT_BYTES, inside the file's bytes
    const uint8_t *bytes;
    size_t len;
};

struct ledgerfile {
    enum entry_scope scope;
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    size_t n_lines;
    struct ledgerfile_line *lines;
    size_t n_heads;
    struct head *heads; // sizes ascending, the last one is of n_lines
};

/* Reads bytes[0..len), which must outlive *out. On CHOIR_OK free with ledgerfile_free().
 * Fails with CHOIR_ERR_FORMAT or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err ledgerfile_read(const uint8_t *bytes, size_t len,
                                                struct ledgerfile *out);
void ledgerfile_free(struct ledgerfile *file);

/* Writes the file's bytes; *bytes is the caller's (free). */
CHOIR_MUST_CHECK enum choir_err ledgerfile_write(const struct ledgerfile *file, uint8_t **bytes,
                                                 size_t *len);

/* Checks that every entry is canonical and of this scope, that the first and only the first is
 * a GENESIS naming public_key, that every head's root is that of its entries and signed by
 * public_key, and that the last head covers all entries. Whose key it is, is the caller's
 * question. Fails with CHOIR_ERR_FORGED and says where in `diag` (place: kept, message: set). */
CHOIR_MUST_CHECK enum choir_err ledgerfile_check(const struct ledgerfile *file,
                                                 struct choir_diag *diag);

#endif
