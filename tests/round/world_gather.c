#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fake.h"
#include "world_state.h"

static void keep_record(struct world *world, const struct gather_effect *effect)
{
    size_t i = world->n_records++;

    if (i == RECORDS)
        abort();
    world->record[i] = malloc(effect->journal.len);
    if (world->record[i] == NULL)
        abort();
    memcpy(world->record[i], effect->journal.record, effect->journal.len);
    world->record_len[i] = effect->journal.len;
}

static void gather_sends(struct world *world, const struct gather_effect *effect)
{
    struct incoming message = {.kind = (uint16_t)effect->send.kind,
                               .round = effect->send.round,
                               .attempt = effect->send.attempt,
                               .body = effect->send.body,
                               .body_len = effect->send.body_len};

    memcpy(message.run, effect->send.run, sizeof message.run);
    memcpy(message.transcript, effect->send.transcript, HASH_BYTES);
    for (size_t i = 0; i < effect->send.to->n; i++) {
        uint32_t to = effect->send.to->id[i];

        if (gather_body(world->gather, effect, to, &message.body, &message.body_len) == CHOIR_OK)
            world_send(world, to, &message);
    }
}

static void expects(struct world *world, const struct gather_effect *effect)
{
    struct upload *upload = &world->upload[effect->upload.site];
    struct told told = {.kind = GATHER_UPLOADED, .site = effect->upload.site};

    if (memcmp(upload->root, effect->upload.root, HASH_BYTES) != 0)
        upload->here = false;
    upload->expected = true;
    memcpy(upload->root, effect->upload.root, HASH_BYTES);
    memcpy(told.hash, upload->root, HASH_BYTES);
    if (upload->here) // it was complete before a crash
        world_tell(world, 0, 1, told);
}

// Adds the vectors up: each is one unit vector, found by the root it was announced under.
static void merges(struct world *world, const struct gather_effect *effect)
{
    uint64_t round = effect->merge.round;
    const struct site_set *sites = effect->merge.sites;
    struct told told = {.kind = GATHER_MERGED, .round = round};
    uint32_t sum[SITES] = {0};
    uint8_t seed[HASH_BYTES + 8 + sizeof sum] = {0};

    world_must(world, sites->n >= world->set.min_sites, "a sum over %zu sites", sites->n);
    for (size_t i = 0; i < sites->n; i++) {
        uint32_t id = sites->id[i];

        world_must(world, world->upload[id].here, "the upload of site %u is gone", id);
        world_must(world, memcmp(world->upload[id].root, effect->merge.roots[i], HASH_BYTES) == 0,
                   "the upload of site %u is another one", id);
        world_must(world,
                   world->set.suite > 0 ||
                       memcmp(world->disk[id].root[round], effect->merge.roots[i], HASH_BYTES) == 0,
                   "the sum would hold something else than site %u was charged for", id);
        sum[id]++;
    }
    for (uint32_t i = 1; i < SITES; i++)
        world_must(world, sum[i] <= 1, "site %u is in the sum %u times", i, sum[i]);
    world_check_sum(world, sites, effect->merge.unmask);
    world->result->sums++;
    world->result->n_last = sites->n;
    memcpy(world->result->last, sites->id, sites->n * sizeof sites->id[0]);
    if (world->merged[round])
        world_must(world,
                   world->merged_attempt[round] == effect->merge.attempt &&
                       world->merged_sites[round].n == sites->n &&
                       site_set_within(sites, &world->merged_sites[round]),
                   "round %llu is summed over two different sets", (unsigned long long)round);
    world_must(world, memcmp(effect->merge.model_hash, world->run.model_hash, HASH_BYTES) == 0,
               "round %llu does not begin with the newest model", (unsigned long long)round);
    world->merged[round] = true;
    world->merged_attempt[round] = effect->merge.attempt;
    world->merged_sites[round] = *sites;
    memcpy(put_u64(put_bytes(seed, effect->merge.model_hash, HASH_BYTES), round), sum, sizeof sum);
    hash_bytes(told.hash, seed, sizeof seed);
    memcpy(told.other, told.hash, HASH_BYTES);
    memcpy(world->model[round], told.hash, HASH_BYTES);
    world_tell(world, 0, world_between(world, 1, 50), told);
}

static void closes(struct world *world, const struct gather_effect *effect)
{
    uint64_t round = effect->closed.round;

    world_must(world, memcmp(effect->closed.model_hash, world->model[round], HASH_BYTES) == 0,
               "round %llu is closed with another model", (unsigned long long)round);
    memcpy(world->run.model_hash, effect->closed.model_hash, HASH_BYTES);
    if (round > world->disk[0].closed)
        world->result->closed++;
    world->disk[0].closed = round > world->disk[0].closed ? round : world->disk[0].closed;
}

static void gather_effect(struct world *world, const struct gather_effect *effect)
{
    switch (effect->kind) {
    case GATHER_DO_JOURNAL:
        keep_record(world, effect);
        break;
    case GATHER_DO_SEND:
        gather_sends(world, effect);
        break;
    case GATHER_DO_EXPECT_UPLOAD:
        expects(world, effect);
        break;
    case GATHER_DO_RESET_UPLOAD:
        for (size_t i = 0; i < effect->reset.sites->n; i++)
            memset(&world->upload[effect->reset.sites->id[i]], 0, sizeof world->upload[0]);
        break;
    case GATHER_DO_MERGE:
        merges(world, effect);
        break;
    case GATHER_DO_OPENED:
        world->result->attempts++;
        break;
    case GATHER_DO_CLOSED:
        closes(world, effect);
        break;
    case GATHER_DO_LOST:
        world->result->lost++;
        break;
    case GATHER_DO_RUN_END:
        world->ended = true;
        break;
    case GATHER_DO_REPORT:
        world_trace(world, 0, effect->report.text);
        break;
    case GATHER_DO_PROVE:
        world_check_proof(world, effect);
        break;
    case GATHER_DO_SURVIVORS:
        break;
    }
}

void world_gather_told(struct world *world, const struct gather_event *told, bool resume)
{
    struct gather_event event = *told;
    struct gather_effects effects;
    uint64_t life = world->life[0];

    event.now_ms = world->now;
    put_u64(event.fresh, world_draw(world));
    if ((resume ? gather_resume(world->gather, &event, &effects)
                : gather_step(world->gather, &event, &effects)) != CHOIR_OK)
        abort();
    for (size_t i = 0; i < effects.n && world->life[0] == life; i++) {
        if (world_dies(world, 0))
            return;
        gather_effect(world, &effects.item[i]);
    }
}

void world_local_told(struct world *world, const struct told *told)
{
    struct gather_event event = {
        .kind = (enum gather_event_kind)told->kind, .site = told->site, .round = told->round};

    memcpy(event.hash, told->hash, HASH_BYTES);
    memcpy(event.sum_hash, told->other, HASH_BYTES);
    world_gather_told(world, &event, false);
}

// An upload has arrived whole; it counts if the aggregator expects it.
void world_uploaded(struct world *world, const struct item *item)
{
    struct upload *upload = &world->upload[item->who];
    struct told told = {.kind = GATHER_UPLOADED, .site = item->who};

    if (!world->up[0] || !world->linked[item->who] || !upload->expected ||
        memcmp(upload->root, item->told.hash, HASH_BYTES) != 0)
        return;
    upload->here = true;
    if (item->len > 0)
        memcpy(upload->bytes, item->bytes, item->len);
    memcpy(told.hash, item->told.hash, HASH_BYTES);
    world_tell(world, 0, 1, told);
    told.kind = SITE_UPLOADED;
    world_tell(world, item->who, world_between(world, 1, 20), told);
}

void world_start_gather(struct world *world)
{
    struct gather_settings settings = {.collusion = world->set.collusion,
                                       .resend_ms = RESEND_MS,
                                       .heartbeat_ms = BEAT_MS,
                                       .open = fake_open};

    world_graph_terms(world, &settings.graph);
    world_roster(world, &settings.roster);
    world_session(world, settings.boot);
    if (gather_new(&settings, &world->gather) != CHOIR_OK)
        abort();
    world->up[0] = true;
    world_push(world, (struct item){.kind = ITEM_TICK, .who = 0}, world_between(world, 1, 100));
    for (size_t i = 0; i < world->n_records; i++)
        world_must(world,
                   gather_replay(world->gather, world->record[i], world->record_len[i]) == CHOIR_OK,
                   "journal record %zu is not taken back", i);
    if (world->result->broken)
        return;
    if (world->n_records > 0) {
        world->result->resumed++;
        world_gather_told(world, &(struct gather_event){.kind = GATHER_TICK}, true);
    } else {
        world_gather_told(world, &(struct gather_event){.kind = GATHER_START, .run = &world->run},
                          false);
    }
}
