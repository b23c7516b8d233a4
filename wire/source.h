/* source - content that can be sent in chunks, and the hash tree over its chunks.
 *
 * The content is in memory or in a file. A source is read-only after it was made and may
 * serve many senders (transfer.h).
 */
#ifndef CHOIR_WIRE_SOURCE_H
#define CHOIR_WIRE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "wire/bulk.h"

struct source;

/* Content that can be sent: reads are at any place, again and again. A source is read-only
 * after it was made and may serve many senders. It is read once to find the leaf hashes.
 * The memory or descriptor is borrowed until source_free(). Fails with CHOIR_ERR_FORMAT (empty,
 * or above BULK_CONTENT_MAX), CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err source_of_memory(const uint8_t id[static HASH_BYTES],
                                                 const uint8_t *bytes, size_t len,
                                                 struct source **out);
CHOIR_MUST_CHECK enum choir_err source_of_fd(const uint8_t id[static HASH_BYTES], int fd,
                                             struct source **out);
/* Content whose chunks were hashed while they were written: nothing is read now. leaves
 * [bulk_chunks(bytes)] are copied. Fails likewise. */
CHOIR_MUST_CHECK enum choir_err source_of_leaves(const uint8_t id[static HASH_BYTES], int fd,
                                                 uint64_t bytes,
                                                 const uint8_t (*leaves)[HASH_BYTES],
                                                 struct source **out);
void source_free(struct source *source);
const uint8_t *source_id(const struct source *source);
/* The Merkle root (crypto/merkle.h) over the chunks as leaves. */
const uint8_t *source_root(const struct source *source);
uint64_t source_bytes(const struct source *source);
uint32_t source_chunks(const struct source *source);
/* The leaf hashes, [source_chunks()]. */
const uint8_t (*source_leaves(const struct source *source))[HASH_BYTES];

/* How many bytes chunk `index` has. */
uint32_t source_chunk(const struct source *source, uint32_t index);

/* Chunk `index`: in place, or read into `room` of BULK_CHUNK_BYTES. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err source_read(const struct source *source, uint32_t index,
                                            uint8_t *room, const uint8_t **chunk);

#endif
