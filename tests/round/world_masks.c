#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/maskset.h"
#include "fake.h"
#include "round/proof.h"
#include "world_state.h"

static size_t lane_bytes(const struct world *world)
{
    return world->run.lane_bits / 8U;
}

static size_t n_lanes(const struct world *world)
{
    uint64_t d = world->run.n_parameters;

    return (size_t)(d + (d + SEGMENT_LANES - 2) / (SEGMENT_LANES - 1));
}

size_t world_vector_bytes(const struct world *world)
{
    size_t bytes = world->set.suite > 0 ? n_lanes(world) * lane_bytes(world) : 44;

    if (bytes > VECTOR_MAX)
        abort();
    return bytes;
}

static uint32_t get_lane(const struct world *world, const uint8_t *vector, size_t lane)
{
    return lane_bytes(world) == 2 ? get_u16(vector + 2 * lane) : get_u32(vector + 4 * lane);
}

// Adds modulo the lane's width.
static void add_lane(const struct world *world, uint8_t *vector, size_t lane, uint32_t value)
{
    value += get_lane(world, vector, lane);
    if (lane_bytes(world) == 2)
        put_u16(vector + 2 * lane, (uint16_t)value);
    else
        put_u32(vector + 4 * lane, value);
}

static bool is_constant(const struct world *world, size_t lane)
{
    return lane % SEGMENT_LANES == SEGMENT_LANES - 1 || lane + 1 == n_lanes(world);
}

// A lane of its own for each site; the next site's is in the next place that is not constant.
static size_t lane_of(uint32_t who)
{
    size_t parameter = who - 1;

    return parameter / (SEGMENT_LANES - 1) * SEGMENT_LANES + parameter % (SEGMENT_LANES - 1);
}

static void apply(const struct world *world, const struct maskset *masks, uint8_t *vector)
{
    size_t segment = SEGMENT_LANES * lane_bytes(world);
    size_t bytes = world_vector_bytes(world);
    struct mask *worker = NULL;

    if (maskset_suite(masks) != world->set.suite ||
        mask_open(world->set.suite, &worker) != CHOIR_OK)
        abort();
    for (size_t at = 0; at < bytes; at += segment) {
        size_t len = bytes - at < segment ? bytes - at : segment;

        maskset_apply(masks, worker, (uint32_t)(at / segment), world->run.lane_bits, 0, vector + at,
                      len);
    }
    mask_close(worker);
}

void world_mask(struct world *world, uint32_t who)
{
    struct masked *masked = &world->masked[who];

    memset(masked->bytes, 0, sizeof masked->bytes);
    add_lane(world, masked->bytes, lane_of(who), 1);
    for (size_t lane = 0; lane < n_lanes(world); lane++)
        if (is_constant(world, lane))
            add_lane(world, masked->bytes, lane, 1);
    apply(world, masked->masks, masked->bytes);
    masked->masks = NULL;
    hash_bytes(masked->root, masked->bytes, world_vector_bytes(world));
}

void world_check_sum(struct world *world, const struct site_set *u, const struct maskset *unmask)
{
    uint8_t sum[VECTOR_MAX] = {0};
    uint32_t expected[VECTOR_MAX / 2] = {0};

    world_must(world, (unmask != NULL) == (world->set.suite > 0), "masks on or off?");
    if (unmask == NULL)
        return;
    for (size_t i = 0; i < u->n; i++) {
        const struct upload *upload = &world->upload[u->id[i]];

        expected[lane_of(u->id[i])] = 1;
        for (size_t lane = 0; lane < n_lanes(world); lane++)
            add_lane(world, sum, lane, get_lane(world, upload->bytes, lane));
    }
    apply(world, unmask, sum);
    for (size_t lane = 0; lane < n_lanes(world); lane++) {
        if (is_constant(world, lane))
            expected[lane] = (uint32_t)u->n;
        world_must(world, get_lane(world, sum, lane) == expected[lane],
                   "lane %zu of the sum of %zu sites is %u", lane, u->n,
                   (unsigned)get_lane(world, sum, lane));
    }
}

void world_check_proof(struct world *world, const struct gather_effect *effect)
{
    struct proof_terms terms = {.collusion = world->set.collusion, .open = fake_open};
    struct proof_result *result = calloc(1, sizeof *result);
    enum choir_err err;

    if (result == NULL)
        abort();
    world_roster(world, &terms.roster);
    world_graph_terms(world, &terms.graph);
    err = proof_check(&terms, effect->prove.bytes, effect->prove.len, result);
    world_must(world, err == CHOIR_OK, "the proof does not hold: %s", result->fault);
    if (err == CHOIR_OK) {
        for (size_t i = 0; i < result->u.n; i++)
            world_must(world,
                       memcmp(result->root[i], world->upload[result->u.id[i]].root, HASH_BYTES) ==
                           0,
                       "the proof names another vector for site %u", (unsigned)result->u.id[i]);
        world_check_sum(world, &result->u, result->unmask);
        world->result->proofs++;
    }
    maskset_free(result->unmask);
    free(result);
}

void world_check_unmask(struct world *world, const struct incoming *message)
{
    struct message *body = calloc(1, sizeof *body);

    if (body == NULL)
        abort();
    if (message_decode(MESSAGE_UNMASK, message->body, message->body_len, body) != CHOIR_OK)
        abort();
    for (size_t i = 0; i < body->unmask.n; i++) {
        uint32_t of = body->unmask.share[i].of;
        uint8_t *shown = &world->shown[message->round][message->attempt % ATTEMPTS][of];

        *shown |= body->unmask.share[i].of_mask_key ? 2 : 1;
        world_must(world, *shown != 3, "both secrets of site %u are revealed", of);
    }
    free(body);
}

void world_graph_terms(const struct world *world, struct graph_terms *terms)
{
    *terms = (struct graph_terms){.has_seed = world->set.sparse, .collusion = world->set.collusion};
    if (world->set.sparse)
        put_u64(terms->seed, world->set.seed);
}
