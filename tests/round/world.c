#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fake.h"
#include "world_state.h"

static void crash(struct world *world, uint32_t who)
{
    world->result->crashes++;
    world_trace(world, who, "crashes");
    world->life[who]++;
    world->up[who] = false;
    if (who == 0) {
        gather_free(world->gather);
        world->gather = NULL;
        for (uint32_t i = 1; i < SITES; i++)
            world->upload[i].expected = false;
    } else {
        site_free(world->site[who]);
        world->site[who] = NULL;
    }
    if (world->set.dies[who] != WORLD_LIVES)
        return;
    world_push(world, (struct item){.kind = ITEM_START, .who = who},
               world->set.restore && world_faulty(world) ? world_between(world, 50, 6000)
                                                         : world->set.faults_ms + 100 - world->now);
}

// True if the party dies before its next effect.
bool world_dies(struct world *world, uint32_t who)
{
    if (!world_faulty(world) || !world_chance(world, world->set.crash))
        return false;
    crash(world, who);
    return true;
}

bool world_dies_at(struct world *world, uint32_t who, enum world_step step)
{
    if (world->set.dies[who] != step || !world->up[who])
        return false;
    crash(world, who);
    return true;
}

void world_session(struct world *world, uint8_t nonce[static MESSAGE_NONCE_BYTES])
{
    memset(nonce, 0, MESSAGE_NONCE_BYTES);
    put_u64(nonce, ++world->sessions);
}

void world_roster(const struct world *world, struct site_set *set)
{
    set->n = 0;
    for (uint32_t i = 1; i <= world->set.n_sites; i++)
        set->id[set->n++] = i;
}

static void tick(struct world *world, uint32_t who)
{
    world_push(world, (struct item){.kind = ITEM_TICK, .who = who}, 100);
    if (who == 0)
        world_gather_told(world, &(struct gather_event){.kind = GATHER_TICK}, false);
    else
        world_site_event(world, who, &(struct site_event){.kind = SITE_TICK, .now_ms = world->now});
}

static void deliver(struct world *world, struct item *item)
{
    struct incoming message;

    if (fake_open(NULL, item->bytes, item->len, &message) != CHOIR_OK)
        abort();
    if (item->who == 0)
        world_gather_told(
            world, &(struct gather_event){.kind = GATHER_MESSAGE, .message = &message}, false);
    else
        world_site_event(
            world, item->who,
            &(struct site_event){.kind = SITE_MESSAGE, .now_ms = world->now, .message = &message});
}

// Once a second each link may be cut or mended.
static void change_link(struct world *world, uint32_t who)
{
    bool up = !world_faulty(world) || (world->linked[who] ? !world_chance(world, world->set.cut)
                                                          : world_chance(world, 0.3));

    world_push(world, (struct item){.kind = ITEM_LINK, .who = who}, 1000);
    if (up == world->linked[who])
        return;
    world->linked[who] = up;
    if (world->up[who])
        world_site_event(
            world, who,
            &(struct site_event){.kind = up ? SITE_LINK_UP : SITE_LINK_DOWN, .now_ms = world->now});
}

static bool needs_life(enum item_kind kind)
{
    return kind == ITEM_TICK || kind == ITEM_TOLD || kind == ITEM_UPLOAD;
}

static void happen(struct world *world, struct item *item)
{
    bool alive = world->up[item->who];

    if (needs_life(item->kind) && (item->life != world->life[item->who] || !alive))
        return;
    switch (item->kind) {
    case ITEM_TICK:
        tick(world, item->who);
        break;
    case ITEM_MESSAGE:
        if (alive)
            deliver(world, item);
        break;
    case ITEM_TOLD:
        if (item->who == 0)
            world_local_told(world, &item->told);
        else
            world_site_told(world, item->who, &item->told);
        break;
    case ITEM_UPLOAD:
        world_uploaded(world, item);
        break;
    case ITEM_CRASH:
        break;
    case ITEM_START:
        if (!alive && item->who == 0)
            world_start_gather(world);
        else if (!alive)
            world_start_site(world, item->who);
        break;
    case ITEM_LINK:
        // a link belongs to no life
        change_link(world, item->who);
        break;
    }
}

static bool all_ended(const struct world *world)
{
    bool ended = world->ended;

    for (uint32_t i = 1; i <= world->set.n_sites; i++)
        ended = ended && (world->disk[i].ended || world->set.dies[i] != WORLD_LIVES);
    return ended;
}

// At most one attempt of a round can have been opened by T sites.
static void check_reveals(struct world *world)
{
    for (uint64_t round = 1; round <= world->set.rounds; round++) {
        int opened = 0;

        for (size_t attempt = 0; attempt < ATTEMPTS; attempt++) {
            unsigned n = 0;

            for (uint32_t i = 1; i <= world->set.n_sites; i++)
                n += world->revealed_by[round][attempt][i] ? 1 : 0;

            if (n >= 1 && n >= world->threshold[round])
                opened++;
        }
        world_must(world, opened <= 1, "round %llu was opened in two attempts",
                   (unsigned long long)round);
    }
}

static void make_run(struct world *world)
{
    struct gather_run *run = &world->run;

    memcpy(run->run, "run of the world", 16);
    hash_bytes(run->plan_hash, world->plan, sizeof world->plan);
    run->plan = world->plan;
    run->plan_len = sizeof world->plan;
    run->rounds = world->set.rounds;
    run->n_parameters = world->set.suite > 0 ? world->set.n_sites + 10 : 10;
    run->lane_bits = world->set.suite > 0 ? world->set.lane_bits : 32;
    run->update_bytes = world_vector_bytes(world);
    run->suite = world->set.suite;
    run->min_sites = world->set.min_sites;
    run->deadline_ms = DEADLINE_MS;
    run->n_sites = world->set.n_sites;
    for (uint32_t i = 0; i < world->set.n_sites; i++)
        run->site[i] = (struct gather_site){.id = i + 1, .nominal_size = 100 + i};
}

static void end_world(struct world *world)
{
    for (size_t i = 0; i < world->n_items; i++)
        free(world->heap[i].bytes);
    for (size_t i = 0; i < world->n_records; i++)
        free(world->record[i]);
    for (uint32_t i = 1; i < SITES; i++)
        site_free(world->site[i]);
    gather_free(world->gather);
    free(world->heap);
    free(world);
}

void world_run(const struct world_settings *settings, struct world_result *result)
{
    struct world *world = calloc(1, sizeof *world);

    if (world == NULL)
        abort();
    memset(result, 0, sizeof *result);
    world->set = *settings;
    world->result = result;
    world->random = settings->seed * 0x9e3779b97f4a7c15U + 1;
    make_run(world);
    for (uint32_t i = 0; i <= settings->n_sites; i++) {
        world->linked[i] = true;
        world_push(world, (struct item){.kind = ITEM_START, .who = i},
                   world_between(world, 0, 500));
        if (i > 0)
            world_push(world, (struct item){.kind = ITEM_LINK, .who = i},
                       world_between(world, 1, 1000));
    }
    while (!result->broken && world->now < settings->end_ms && !all_ended(world)) {
        struct item item = world_pop(world);

        world->now = item.at;
        happen(world, &item);
        free(item.bytes); // NOLINT(clang-analyzer-unix.Malloc): popped once, so freed once
    }
    check_reveals(world);
    result->ended = all_ended(world);
    result->ended_ms = world->now;
    end_world(world);
}
