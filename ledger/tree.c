#include "ledger/tree.h"

#include <stdbool.h>
#include <string.h>

#include "crypto/merkle.h"

static void node(uint8_t out[static HASH_BYTES], const uint8_t left[static HASH_BYTES],
                 const uint8_t right[static HASH_BYTES])
{
    uint8_t both[1 + 2 * HASH_BYTES];

    both[0] = MERKLE_NODE_PREFIX;
    memcpy(both + 1, left, HASH_BYTES);
    memcpy(both + 1 + HASH_BYTES, right, HASH_BYTES);
    hash_bytes(out, both, sizeof both);
}

void tree_push(struct tree *tree, const uint8_t leaf[static HASH_BYTES])
{
    uint8_t carry[HASH_BYTES];
    unsigned level = 0;

    memcpy(carry, leaf, HASH_BYTES);
    for (; (tree->size >> level & 1) != 0; level++)
        node(carry, tree->complete[level], carry);
    memcpy(tree->complete[level], carry, HASH_BYTES);
    tree->size++;
}

void tree_root(const struct tree *tree, uint8_t root[static HASH_BYTES])
{
    bool begun = false;

    if (tree->size == 0) {
        hash_bytes(root, "", 0);
        return;
    }
    for (unsigned level = 0; level < 64; level++) { // from the rightmost subtree leftwards
        if ((tree->size >> level & 1) == 0)
            continue;
        if (begun)
            node(root, tree->complete[level], root);
        else
            memcpy(root, tree->complete[level], HASH_BYTES);
        begun = true;
    }
}
