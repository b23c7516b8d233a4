/* tree - the RFC 6962 tree of a growing list: one leaf hash at a time, the root at any moment.
 *
 * Keeps one hash per complete subtree, so a push and a root cost O(log n). The roots are those
 * of merkle_root() over the same leaf hashes.
 */
#ifndef CHOIR_LEDGER_TREE_H
#define CHOIR_LEDGER_TREE_H

#include <stdint.h>

#include "crypto/hash.h"

struct tree {
    uint64_t size;
    uint8_t complete[64][HASH_BYTES]; // [k]: the complete subtree of 2^k leaves, if bit k of size
};

/* An empty tree is all zeros. */
void tree_push(struct tree *tree, const uint8_t leaf[static HASH_BYTES]);
void tree_root(const struct tree *tree, uint8_t root[static HASH_BYTES]);

#endif
