/* unmasking_state - what unmasking.c (who said what) and unmasking_restore.c (what follows from it)
 * share. Private to round/. */
#ifndef CHOIR_ROUND_UNMASKING_STATE_H
#define CHOIR_ROUND_UNMASKING_STATE_H

#include "crypto/curve.h"
#include "crypto/shamir.h"
#include "round/unmasking.h"

struct sealed {
    uint32_t to;
    uint8_t bytes[MESSAGE_CIPHER_MAX];
};

/* One site of V0. */
struct member {
    uint32_t id;
    bool advertised, in_v1, in_v2, in_u, answered;
    uint8_t mask_key[CURVE_KEY_BYTES], share_key[CURVE_KEY_BYTES];
    uint8_t commitment[HASH_BYTES];
    size_t threshold;      // shares that restore its secrets
    struct sealed *bundle; // by ascending receiver; NULL: none
    size_t n_bundle;
    size_t first, n_shares; // its secret's shares: share[first .. first + n_shares)
    size_t n_tried;         // shares at the last try to restore it
    bool restored;
    bool lied; // a share that it held did not fit: those of others are tried first
};

struct unmasking {
    struct unmasking_terms terms;
    uint8_t r1[HASH_BYTES], r2[HASH_BYTES];
    size_t n;
    struct member *member; // by ascending id
    uint8_t *edges;        // n x n bits: who is a neighbour of whom
    uint16_t *holder;      // beside `share`: whose it is, an index of `member`
    struct shamir_share *share;
    struct shamir_share *secret; // beside `member`
};

/* Whether members i and j, both indices, are neighbours. */
bool unmasking_edge(const struct unmasking *unmasking, size_t i, size_t j);
struct member *unmasking_member(const struct unmasking *unmasking, uint32_t id);

#endif
