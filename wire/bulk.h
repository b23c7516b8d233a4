/* bulk - the messages of the bulk channel: one record each, not signed one by one.
 *
 * They run inside CURVE. What they carry is bound by hashes that were signed on the control
 * channel: the Merkle root in a MASKED header, or the hash of a model in a ROUND_OPEN.
 *
 * Each begins with: version u8 = 1, kind u8, zero u16, id[32]. Little-endian.
 *   FETCH                                                     receiver: send me this content
 *   OPEN     bytes u64, chunk u32, root[32]                   sender: this is its shape
 *   LEAVES   first u32, n u32, n x hash[32]                   sender: leaf hashes of the chunks
 *   ASK      first u32                                        receiver: leaf hashes from there on
 *   NEED     first u32, bitmap u64                            receiver: these chunks (bit k:
 *                                                             first + k); each is one credit
 *   DATA     index u32, len u32, bytes                        sender: one chunk
 *   DONE                                                      receiver: all here and verified
 *   REFUSED  code u16                                         either: no, and will not
 */
#ifndef CHOIR_WIRE_BULK_H
#define CHOIR_WIRE_BULK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"

enum bulk_kind {
    BULK_FETCH = 1,
    BULK_OPEN,
    BULK_LEAVES,
    BULK_ASK,
    BULK_NEED,
    BULK_DATA,
    BULK_DONE,
    BULK_REFUSED,
};

enum bulk_refusal {
    BULK_UNKNOWN = 1, // no such content here, or not expected now
    BULK_TOO_BIG,
    BULK_MISMATCH, // shape or hashes are not those that were announced
    BULK_FAILED,   // the disk failed
};

enum {
    BULK_CHUNK_BYTES = 256 << 10,
    BULK_LEAVES_MAX = 4096, // leaf hashes in one message
    BULK_HEAD_BYTES = 1 + 1 + 2 + HASH_BYTES,
    BULK_DATA_AT = BULK_HEAD_BYTES + 8, // where the chunk begins in DATA
    BULK_BYTES_MAX = BULK_DATA_AT + BULK_CHUNK_BYTES,
};
#define BULK_CONTENT_MAX ((uint64_t)64 << 30) // bytes of one content
#define BULK_CHUNKS_MAX  ((uint32_t)(BULK_CONTENT_MAX / BULK_CHUNK_BYTES))

struct bulk_message {
    const uint8_t *payload; // LEAVES, DATA: into the bytes decoded; not owned
    uint64_t bytes;         // OPEN
    uint64_t bitmap;        // NEED
    uint8_t id[HASH_BYTES];
    uint8_t root[HASH_BYTES]; // OPEN
    enum bulk_kind kind;
    uint32_t first; // LEAVES, ASK, NEED; DATA: index of the chunk
    uint32_t n;     // LEAVES: hashes; DATA: bytes
    uint16_t code;  // REFUSED: enum bulk_refusal
};

/* How many chunks content of `bytes` has: the last may be short. */
uint32_t bulk_chunks(uint64_t bytes);

/* Writes `message` into to[0..*len), max >= BULK_BYTES_MAX. Its fields must be in range.
 * The payload of DATA may already lie in its place, at to + BULK_DATA_AT. */
void bulk_encode(const struct bulk_message *message, uint8_t *to, size_t max, size_t *len);

/* Fails with CHOIR_ERR_FORMAT. */
CHOIR_MUST_CHECK enum choir_err bulk_decode(const uint8_t *bytes, size_t len,
                                            struct bulk_message *message);

#endif
