/* world_state - what the files of the simulated world share.
 *
 * world.c: time, crashes, links. world_queue.c: chance, what happens next, messages on their way.
 * world_masks.c: vectors and what hides them. world_site.c and world_gather.c: what surrounds a site and the aggregator (vault, disk, bulk
 * link, journal), with the checks of what must hold.
 */
#ifndef CHOIR_TESTS_ROUND_WORLD_STATE_H
#define CHOIR_TESTS_ROUND_WORLD_STATE_H

#include "base/err.h"
#include "crypto/hash.h"
#include "round/gather.h"
#include "round/site.h"
#include "world.h"

enum {
    SITES = WORLD_SITES_MAX + 1, // index 0 is the aggregator
    ROUNDS = 16,                 // rounds 1..15
    CONSENTS = 256,              // stored by one site
    RECORDS = 4096,
    RESEND_MS = 400,
    BEAT_MS = 500,
    DEADLINE_MS = 3000,
    ATTEMPTS = 64,
    SEGMENT_LANES = 24,     // the last one of each segment is constant
    VECTOR_MAX = 8 * SITES, // bytes of a vector, at most
};

enum item_kind {
    ITEM_TICK,
    ITEM_MESSAGE,
    ITEM_TOLD,
    ITEM_UPLOAD,
    ITEM_CRASH,
    ITEM_START,
    ITEM_LINK
};

/* What a local service (vault, disk, bulk link) tells its party later. */
struct told {
    int kind; // enum site_event_kind or gather_event_kind
    uint64_t round;
    uint32_t attempt, site;
    uint8_t hash[HASH_BYTES], other[HASH_BYTES];
    bool yes;
};

struct item {
    uint64_t at, order;
    enum item_kind kind;
    uint32_t who;
    uint64_t life; // of `who`; an item of an earlier life is dropped
    struct told told;
    uint8_t *bytes;
    size_t len;
};

/* What a site keeps on disk, and what it must never do twice. */
struct disk {
    struct mark mark;
    bool charged[ROUNDS];
    uint8_t root[ROUNDS][HASH_BYTES];
    size_t n_consents;
    uint8_t r2[CONSENTS][HASH_BYTES], r3[CONSENTS][HASH_BYTES];
    uint32_t unmasked[ROUNDS]; // the attempt in which UNMASK was sent
    uint64_t closed;
    bool ended;
};

struct upload {
    bool expected, here;
    uint8_t root[HASH_BYTES];
    uint8_t bytes[VECTOR_MAX]; // with masks on
};

/* A site's masked vector of its attempt, and what it is masked with until that is done. */
struct masked {
    const struct maskset *masks;
    uint8_t root[HASH_BYTES];
    uint8_t bytes[VECTOR_MAX];
};

struct world {
    struct world_settings set;
    struct world_result *result;
    uint64_t random, now, order, sequence, sessions;
    struct item *heap;
    size_t n_items, max_items;
    uint64_t life[SITES];
    uint8_t session[SITES][MESSAGE_NONCE_BYTES];
    bool up[SITES], linked[SITES];
    struct site *site[SITES];
    struct disk disk[SITES];
    struct gather *gather;
    struct gather_run run;
    uint8_t plan[32];
    uint8_t *record[RECORDS];
    size_t record_len[RECORDS];
    size_t n_records;
    struct upload upload[SITES];
    struct masked masked[SITES];
    uint8_t shown[ROUNDS][ATTEMPTS][SITES]; // shares revealed: 1 of b, 2 of rho
    uint8_t model[ROUNDS + 1][HASH_BYTES];  // after round t
    bool merged[ROUNDS];
    uint32_t merged_attempt[ROUNDS];
    struct site_set merged_sites[ROUNDS];
    uint32_t threshold[ROUNDS];                // T, as the sites were told
    bool revealed_by[ROUNDS][ATTEMPTS][SITES]; // sent UNMASK
    bool ended;
};

/* world_queue.c */
uint64_t world_draw(struct world *world);
bool world_chance(struct world *world, double p);
uint64_t world_between(struct world *world, uint64_t low, uint64_t high);
bool world_faulty(const struct world *world);
/* Keeps the first thing that did not hold; the world ends then. */
void world_must(struct world *world, bool holds, const char *format, ...) CHOIR_PRINTF(3, 4);
/* What the parties report, for people who look for the reason (CHOIR_TRACE=1). */
void world_trace(const struct world *world, uint32_t who, const char *text);
void world_push(struct world *world, struct item item, uint64_t delay);
struct item world_pop(struct world *world);
void world_tell(struct world *world, uint32_t who, uint64_t delay, struct told told);
void world_send(struct world *world, uint32_t to, struct incoming *message);

/* world.c */
/* True if the party dies before its next effect. */
bool world_dies(struct world *world, uint32_t who);
/* True if the site was to die at this step; it has, then. */
bool world_dies_at(struct world *world, uint32_t who, enum world_step step);
void world_session(struct world *world, uint8_t nonce[static MESSAGE_NONCE_BYTES]);
void world_roster(const struct world *world, struct site_set *set);

/* world_masks.c: vectors, with masks on */
size_t world_vector_bytes(const struct world *world);
/* The update of site `who`, with its masks on; its hash stands for the Merkle root. */
void world_mask(struct world *world, uint32_t who);
/* The sum must be that of the updates of U, bit for bit. */
void world_check_sum(struct world *world, const struct site_set *u, const struct maskset *unmask);
/* An auditor must come to the same. */
void world_check_proof(struct world *world, const struct gather_effect *effect);
/* A share of b or one of rho, never one of each. */
void world_check_unmask(struct world *world, const struct incoming *message);
void world_graph_terms(const struct world *world, struct graph_terms *terms);

/* world_site.c */
void world_start_site(struct world *world, uint32_t who);
void world_site_event(struct world *world, uint32_t who, const struct site_event *told);
void world_site_told(struct world *world, uint32_t who, const struct told *told);

/* world_gather.c */
void world_start_gather(struct world *world);
void world_gather_told(struct world *world, const struct gather_event *told, bool resume);
void world_local_told(struct world *world, const struct told *told);
/* An upload has arrived whole; it counts if the aggregator expects it. */
void world_uploaded(struct world *world, const struct item *item);

#endif
