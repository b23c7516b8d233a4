/* proof - what an auditor needs, beside the roster and the masked vectors, to recompute the sum
 * of a round with masks on: what was said in it, and the secrets that were revealed.
 *
 * Format, little-endian: magic "CHRPROOF", version u16 = 1, run [16], round u64, attempt u32; the
 * bodies of ROUND_OPEN, ADVERTS, SURVIVORS and CONSENTS as they were sent, in this order, each as
 * length u32 and bytes; n u16, and for each site of V2, ascending: id u32, SHA-256 of its SHARES
 * body [32], u8 (0: its b follows, 1: its rho), secret [32]. Nothing after it.
 *
 * The secrets open nothing but the sum: of every site either its self mask stays unknown, or its
 * pair masks do. */
#ifndef CHOIR_ROUND_PROOF_H
#define CHOIR_ROUND_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "round/graph.h"
#include "round/incoming.h"
#include "round/transcript.h"
#include "round/unmasking.h"
#include "wire/message.h"

enum { PROOF_MAX = 4 << 20 }; // bytes; no proof is longer

struct maskset; // crypto/maskset.h

struct proof_part {
    const uint8_t *at; // borrowed
    size_t len;
};

/* About 80 KiB. */
struct proof {
    uint8_t run[MESSAGE_RUN_BYTES];
    uint64_t round;
    uint32_t attempt;
    struct proof_part open, adverts, survivors, consents;
    struct said bundles; // of V2
    size_t n_revealed;   // the same sites
    struct revealed revealed[MESSAGE_SITES_MAX];
};

/* Fails with CHOIR_ERR_FORMAT if a field is out of range, or CHOIR_ERR_MEMORY. On CHOIR_OK *bytes
 * is the caller's, to be freed with free(). */
CHOIR_MUST_CHECK enum choir_err proof_encode(const struct proof *proof, uint8_t **bytes,
                                             size_t *len);

/* `out` borrows from `bytes`. Fails with CHOIR_ERR_FORMAT. */
CHOIR_MUST_CHECK enum choir_err proof_decode(const uint8_t *bytes, size_t len, struct proof *out);

/* What a checker knows by itself, from the roster. */
struct proof_terms {
    uint8_t roster_hash[HASH_BYTES];
    struct site_set roster;
    uint32_t collusion; // c
    struct graph_terms graph;
    incoming_open open; // checks signatures with the roster's keys
    const void *open_context;
};

/* What a good proof shows. About 50 KiB. */
struct proof_result {
    struct msg_round_open open; // the round's terms: run, round, attempt, model, plan, V0, T, U_min
    struct site_set v2, u;
    size_t n_consents;
    uint8_t r[4][HASH_BYTES];                    // R0..R3
    uint8_t root[MESSAGE_SITES_MAX][HASH_BYTES]; // Merkle roots of the masked vectors of U
    uint64_t bytes;                              // of each vector
    uint8_t revealed_hash[HASH_BYTES];           // as ROUND_CLOSE has it
    struct maskset *unmask;                      // takes every mask out of the sum; maskset_free()
    char fault[128];                             // what is wrong, in words; empty if nothing is
};

/* Recomputes R0..R3, checks all signatures, that V0, V1, V2 and U are nested and not below U_min,
 * T consents, and each secret against its commitment or key. `out` is filled on CHOIR_OK; on other
 * results only `fault` is to be used. Fails with CHOIR_ERR_FORMAT, CHOIR_ERR_FORGED,
 * CHOIR_ERR_REFUSED (a suite or graph that is not known here) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err proof_check(const struct proof_terms *terms, const uint8_t *bytes,
                                            size_t len, struct proof_result *out);

#endif
