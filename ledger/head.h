/* head - the signed statement "the tree has this size and this root".
 *
 * What is signed is the text of a C2SP checkpoint: origin, size and root in base64, one a line.
 * The origin names scope and key, so a head of one ledger is never taken for that of another.
 */
#ifndef CHOIR_LEDGER_HEAD_H
#define CHOIR_LEDGER_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "ledger/entry.h"

enum {
    HEAD_BODY_MAX = 256, // text of the checkpoint
    HEAD_NOTE_MAX = 768, // the same with its signature line
};

struct head {
    uint64_t size;
    uint8_t root[HASH_BYTES];
    uint8_t signature[SIGN_BYTES];
};

/* Signs head->size and head->root as of `scope` and the public half of `secret_key`. */
void head_sign(struct head *head, enum entry_scope scope,
               const uint8_t public_key[static SIGN_PUBLIC_BYTES],
               const uint8_t secret_key[static SIGN_SECRET_BYTES]);

/* Fails with CHOIR_ERR_FORGED unless this key signed exactly this head of this scope. */
CHOIR_MUST_CHECK enum choir_err head_check(const struct head *head, enum entry_scope scope,
                                           const uint8_t public_key[static SIGN_PUBLIC_BYTES]);

/* The head as a C2SP signed note, for witnesses: HEAD_NOTE_MAX bytes of room, zero-terminated. */
void head_note(char *note, const struct head *head, enum entry_scope scope,
               const uint8_t public_key[static SIGN_PUBLIC_BYTES]);

#endif
