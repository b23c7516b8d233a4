/* secagg - one attempt of secure aggregation in memory, for bench_secagg: what the sites compute,
 * and what the aggregator does, without machines, codecs and network between them. */
#ifndef CHOIR_BENCH_SECAGG_H
#define CHOIR_BENCH_SECAGG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "crypto/sign.h"
#include "round/graph.h"
#include "round/masking.h"
#include "wire/message.h"

enum { SECAGG_MAX = 100, SECAGG_SEGMENT_LANES = 65536 };

struct secagg_case {
    const char *name;
    uint32_t n, dropouts, quorum;
    uint32_t degree, tau_milli; // of the sparse graph; degree 0: complete
    unsigned lane_bits;
    size_t n_parameters;
    unsigned runs;
};

/* Processor seconds of one site, in the steps of a round. */
struct secagg_client {
    double keys;     // secrets and advert
    double shares;   // adverts verified, shares split and sealed
    double masks;    // boxes opened, seeds agreed upon, masks put on
    double consents; // headers and consents verified, shares revealed
    double hash;     // the chunks of the vector, for its root
    size_t terms;    // masks
};

/* Processor seconds of the aggregator, and the wall's. */
struct secagg_server {
    double restore;    // adverts and bundles taken, secrets restored and checked, seeds derived
    double merge;      // vectors added, masks taken out
    double hash;       // of every vector, for its root, and of the sum
    double signatures; // of everything that the sites said
    double wall;       // restore, and merge and sum's hash on two threads
    size_t terms;      // masks
};

/* What the libraries need for it alone, in processor seconds: the least it could take with them. */
struct secagg_bare {
    double stream; // a byte of AES-256-CTR keystream
    double hash;   // a byte under SHA-256
    double verify; // a signature
    double agree;  // an X25519
};

struct secagg_site {
    struct masking *masking;
    struct msg_advertise advert;
    struct msg_shares shares;
    struct msg_unmask unmask;
    uint8_t *vector;
    struct secagg_client cost;
};

struct secagg {
    const struct secagg_case *of;
    struct graph graph;
    struct site_set v0, u;
    uint8_t r[4][HASH_BYTES];
    struct secagg_site site[SECAGG_MAX];
    size_t n_segments, bytes; // of a vector
    uint8_t *expected;        // the sum over U
    uint8_t sign_public[SIGN_PUBLIC_BYTES], signature[SIGN_BYTES], signed_bytes[256];
};

/* Aborts without memory. */
void secagg_new(struct secagg *round, const struct secagg_case *of);
void secagg_free(struct secagg *round);

/* All steps of all sites, up to what they reveal. */
void secagg_clients(struct secagg *round);

/* The aggregator's part; false if the sum is not the one expected. */
bool secagg_serve(struct secagg *round, struct secagg_server *cost);

void secagg_measure_bare(const struct secagg *round, struct secagg_bare *bare);

/* Segment `i` of a vector: its first byte and its length. */
size_t secagg_segment(const struct secagg *round, size_t i, size_t *offset);

double secagg_cpu(void);  // seconds of this thread
double secagg_wall(void); // seconds
/* `n` signatures verified. */
void secagg_verify(const struct secagg *round, size_t n);
/* Ends the process where something cannot be. */
static inline void secagg_must(bool good)
{
    if (!good)
        abort();
}

#endif
