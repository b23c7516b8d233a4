/* hash - the one hash of the project: SHA-256 (FIPS 180-4), by OpenSSL. */
#ifndef CHOIR_CRYPTO_HASH_H
#define CHOIR_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { HASH_BYTES = 32 };

struct hash_stream; // a hash that is fed piece by piece

/* Hashes data[0..len). Aborts the process if the crypto library fails: a wrong hash must
 * never be mistaken for a right one. */
void hash_bytes(uint8_t hash[static HASH_BYTES], const void *data, size_t len);

/* The caller's, to be freed with hash_free(). Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err hash_new(struct hash_stream **out);
void hash_free(struct hash_stream *stream);
void hash_add(struct hash_stream *stream, const void *data, size_t len);
/* Gives the hash of everything added and makes the stream ready for a new message. */
void hash_end(struct hash_stream *stream, uint8_t hash[static HASH_BYTES]);

/* HMAC-SHA-256 (RFC 2104). */
void hash_mac(uint8_t mac[static HASH_BYTES], const uint8_t *key, size_t key_len, const void *data,
              size_t len);

#endif
