/* keyfile - secret keys at rest: a short bundle sealed with a passphrase.
 *
 * The file holds the purpose of the bundle (readable), the cost of Argon2id, a salt and a
 * nonce, and the bundle under XChaCha20-Poly1305; everything before the ciphertext is bound
 * to it. A file that others than its owner may read is refused, and a cost above the bounds
 * below is refused before any work is done, so that a planted file cannot stall a program.
 */
#ifndef CHOIR_CRYPTO_KEYFILE_H
#define CHOIR_CRYPTO_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    KEYFILE_SECRET_MAX = 1024,     // bytes in a bundle
    KEYFILE_SEALED_MAX = 1280,     // bytes of what keyfile_seal_bytes() writes
    KEYFILE_PURPOSE_MAX = 64,      // text that says what the bundle is, with its zero
    KEYFILE_PASSPHRASE_MAX = 1024, // bytes of a passphrase
    KEYFILE_OPS_MAX = 10,          // passes of Argon2id accepted when reading
    KEYFILE_MEMORY_MAX = 1 << 30,  // bytes of memory of Argon2id accepted when reading
};

enum keyfile_cost {
    KEYFILE_COST_MODERATE, // 256 MiB, 3 passes: about half a second to open
    KEYFILE_COST_MIN,      // 8 KiB, 1 pass: demos and tests only, a guesser is not slowed down
};

/* Secret bytes in memory that is locked, guarded and wiped when freed; NULL if there is none.
 * keyfile_free() wipes and frees; NULL is allowed. */
uint8_t *keyfile_alloc(size_t len);
void keyfile_free(void *secret);

/* Seals secret[0..len), len <= KEYFILE_SECRET_MAX, into the file `path`: mode 0600, atomic and
 * durable. Fails with CHOIR_ERR_FORMAT (purpose, passphrase or bundle of a length outside the
 * bounds; an empty passphrase), CHOIR_ERR_MEMORY or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err keyfile_seal(const char *path, const char *purpose,
                                             enum keyfile_cost cost, const char *passphrase,
                                             const uint8_t *secret, size_t len);

/* Opens what keyfile_seal() wrote. On CHOIR_OK *secret is the caller's (keyfile_free).
 * Fails with CHOIR_ERR_MISSING (no file), CHOIR_ERR_REFUSED (others may read the file, or it
 * is not a regular file of this user), CHOIR_ERR_FORMAT (not such a file, or its cost is out
 * of bounds), CHOIR_ERR_FORGED (wrong passphrase, other purpose or changed bytes),
 * CHOIR_ERR_MEMORY or CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err keyfile_open(const char *path, const char *purpose,
                                             const char *passphrase, uint8_t **secret, size_t *len);

/* The same in memory, for a bundle that is kept in a database. No CHOIR_ERR_MISSING, _REFUSED
 * or _IO. */
CHOIR_MUST_CHECK enum choir_err keyfile_seal_bytes(const char *purpose, enum keyfile_cost cost,
                                                   const char *passphrase, const uint8_t *secret,
                                                   size_t len,
                                                   uint8_t sealed[static KEYFILE_SEALED_MAX],
                                                   size_t *sealed_len);
CHOIR_MUST_CHECK enum choir_err keyfile_open_bytes(const uint8_t *sealed, size_t sealed_len,
                                                   const char *purpose, const char *passphrase,
                                                   uint8_t **secret, size_t *len);

/* Reads a passphrase from the first line of the file `path`, under the same rule about who may
 * read it. On CHOIR_OK *passphrase is the caller's (keyfile_free), zero-terminated. Fails like
 * keyfile_open(); CHOIR_ERR_FORMAT when the line is empty or too long. */
CHOIR_MUST_CHECK enum choir_err keyfile_passphrase(const char *path, char **passphrase);

/* Makes the file `path`, mode 0600, with a fresh passphrase: 192 random bits in hex. A file that
 * is there already is used and not touched: it may be somebody's choice, or what an attempt
 * that was cut short has sealed with. *made tells. Fails with CHOIR_ERR_IO (errno says why). */
CHOIR_MUST_CHECK enum choir_err keyfile_passphrase_make(const char *path, bool *made);

/* What a person reads when keyfile_open() or keyfile_passphrase() failed for the file that is
 * named beside it: what is wrong and what to do. Never NULL. */
const char *keyfile_fault_text(enum choir_err err);
const char *keyfile_passphrase_fault_text(enum choir_err err);

#endif
