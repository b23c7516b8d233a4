#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fake.h"
#include "world_state.h"

static void vault_trains(struct world *world, uint32_t who, const struct site_effect *effect)
{
    uint64_t round = effect->train.round;
    struct disk *disk = &world->disk[who];

    world_must(world, disk->mark.round == round, "site %u trains round %llu without a mark", who,
               (unsigned long long)round);
    world_tell(
        world, who,
        world_between(world, 5,
                      world_faulty(world) && world_chance(world, world->set.slow) ? 8000 : 60),
        (struct told){.kind = SITE_UPDATE_READY, .round = round});
}

// The charge is taken when the training is done; a second time it is only looked up.
static void vault_charges(struct world *world, uint32_t who, uint64_t round)
{
    struct disk *disk = &world->disk[who];
    uint8_t secret[24];

    if (disk->charged[round])
        return;
    disk->charged[round] = true;
    put_u64(put_u64(put_u64(secret, who), round), world_draw(world)); // new noise each time
    hash_bytes(disk->root[round], secret, sizeof secret);
}

static void disk_marks(struct world *world, uint32_t who, const struct mark *mark)
{
    struct disk *disk = &world->disk[who];
    bool above = mark->round > disk->mark.round ||
                 (mark->round == disk->mark.round && mark->attempt > disk->mark.attempt);
    bool reveals = mark->round == disk->mark.round && mark->attempt == disk->mark.attempt &&
                   mark->revealed && !disk->mark.revealed;

    world_must(world, above || reveals, "site %u stores a mark that is not above the old", who);
    world_must(world, mark->round != disk->mark.round || !disk->mark.revealed,
               "site %u begins another attempt of a round it has revealed", who);
    world_must(world,
               world->threshold[mark->round] == 0 ||
                   world->threshold[mark->round] == mark->threshold,
               "T changes within round %llu", (unsigned long long)mark->round);
    world->threshold[mark->round] = mark->threshold;
    disk->mark = *mark;
    world_tell(
        world, who, world_between(world, 0, 5),
        (struct told){.kind = SITE_MARK_STORED, .round = mark->round, .attempt = mark->attempt});
}

static void disk_consents(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct disk *disk = &world->disk[who];
    struct told told = {.kind = SITE_CONSENT_STORED};

    memcpy(told.hash, effect->consent.r2, HASH_BYTES);
    for (size_t i = 0; i < disk->n_consents; i++)
        world_must(world,
                   memcmp(disk->r2[i], effect->consent.r2, HASH_BYTES) != 0 ||
                       memcmp(disk->r3[i], effect->consent.r3, HASH_BYTES) == 0,
                   "site %u consents to a second survivor set", who);
    if (disk->n_consents < CONSENTS) {
        memcpy(disk->r2[disk->n_consents], effect->consent.r2, HASH_BYTES);
        memcpy(disk->r3[disk->n_consents++], effect->consent.r3, HASH_BYTES);
    }
    world_tell(world, who, world_between(world, 0, 5), told);
}

static void link_uploads(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct item item = {.kind = ITEM_UPLOAD, .who = who};
    const struct masked *masked = &world->masked[who];
    uint64_t round = effect->upload.round;

    if (world_dies_at(world, who, WORLD_UPLOAD))
        return;

    world_must(world, world->disk[who].charged[round], "site %u uploads before the charge", who);
    world_must(world,
               memcmp(effect->upload.update.root,
                      world->set.suite > 0 ? masked->root : world->disk[who].root[round],
                      HASH_BYTES) == 0,
               "site %u uploads something else than it was charged for", who);
    memcpy(item.told.hash, effect->upload.update.root, HASH_BYTES);
    if (world->set.suite > 0) {
        item.len = world_vector_bytes(world);
        item.bytes = malloc(item.len);
        if (item.bytes == NULL)
            abort();
        memcpy(item.bytes, masked->bytes, item.len);
    }
    world_push(
        world, item,
        world_between(world, 5,
                      world_faulty(world) && world_chance(world, world->set.slow) ? 5000 : 50));
}

static enum world_step step_of(uint16_t kind)
{
    switch (kind) {
    case MESSAGE_ADVERTISE:
        return WORLD_ADVERTISE;
    case MESSAGE_SHARES:
        return WORLD_SHARES;
    case MESSAGE_MASKED:
        return WORLD_MASKED;
    case MESSAGE_CONSENT:
        return WORLD_CONSENT;
    case MESSAGE_UNMASK:
        return WORLD_UNMASK;
    default:
        return WORLD_STEPS; // none
    }
}

// The masks are put on when this is told: until then they must be there.
static void courier_masks(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct told told = {
        .kind = SITE_MASKED, .round = effect->mask.round, .attempt = effect->mask.attempt};

    world_must(world, world->disk[who].charged[effect->mask.round],
               "site %u masks before the charge", who);
    world_must(world,
               memcmp(effect->mask.update.root, world->disk[who].root[effect->mask.round],
                      HASH_BYTES) == 0,
               "site %u masks something else than it was charged for", who);
    world->masked[who].masks = effect->mask.masks;
    world_tell(
        world, who,
        world_between(world, 1,
                      world_faulty(world) && world_chance(world, world->set.slow) ? 4000 : 20),
        told);
}

static void site_sends(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct incoming message = {.kind = (uint16_t)effect->send.kind,
                               .round = effect->send.round,
                               .attempt = effect->send.attempt,
                               .sender = who,
                               .body = effect->send.body,
                               .body_len = effect->send.body_len};
    struct disk *disk = &world->disk[who];
    uint64_t round = message.round;

    if (world_dies_at(world, who, step_of(message.kind)))
        return;
    memcpy(message.run, effect->send.run, sizeof message.run);
    memcpy(message.transcript, effect->send.transcript, HASH_BYTES);
    if (message.kind == MESSAGE_MASKED)
        world_must(world, disk->charged[round], "site %u announces an update before the charge",
                   who);
    if (message.kind == MESSAGE_UNMASK) {
        world_must(world, disk->unmasked[round] == 0 || disk->unmasked[round] == message.attempt,
                   "site %u reveals two attempts of round %llu", who, (unsigned long long)round);
        world_must(world, disk->mark.revealed, "site %u reveals without a mark", who);
        disk->unmasked[round] = message.attempt;
        world->revealed_by[round][message.attempt % ATTEMPTS][who] = true;
        world_check_unmask(world, &message);
        world->result->reveals++;
    }
    world_send(world, 0, &message);
}

static void site_joins(struct world *world, uint32_t who)
{
    static struct message join;
    uint8_t body[512];
    struct incoming message = {.kind = MESSAGE_JOIN, .sender = who, .body = body};

    join.kind = MESSAGE_JOIN;
    join.join.suites = 1U << 1 | 1U << 2 | 1U << 3;
    memcpy(join.join.session, world->session[who], MESSAGE_NONCE_BYTES);
    if (message_encode(&join, body, sizeof body, &message.body_len) != CHOIR_OK)
        abort();
    world_send(world, 0, &message);
}

static void site_closes(struct world *world, uint32_t who, const struct site_effect *effect)
{
    uint64_t round = effect->closed.round;

    world_must(world, world->merged[round], "site %u hears of a close without a sum", who);
    world_must(world, memcmp(effect->closed.model_hash, world->model[round], HASH_BYTES) == 0,
               "site %u gets another model for round %llu", who, (unsigned long long)round);
    world_must(world, effect->closed.took_part == site_set_has(&world->merged_sites[round], who),
               "site %u is told wrongly whether it took part", who);
    world->disk[who].closed = round;
}

static void site_effect(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct told told = {.kind = SITE_MODEL_READY};

    switch (effect->kind) {
    case SITE_DO_JOIN:
        site_joins(world, who);
        break;
    case SITE_DO_SEND:
        site_sends(world, who, effect);
        break;
    case SITE_DO_CHECK_PLAN:
        told.kind = SITE_PLAN_CHECKED;
        memcpy(told.hash, effect->plan.plan_hash, HASH_BYTES);
        world_tell(world, who, world_between(world, 0, 30), told);
        break;
    case SITE_DO_STORE_MARK:
        disk_marks(world, who, &effect->mark);
        break;
    case SITE_DO_FETCH_MODEL:
        memcpy(told.hash, effect->hash, HASH_BYTES);
        if (world_faulty(world) && world_chance(world, world->set.drop))
            told.kind = SITE_MODEL_FAILED;
        world_tell(world, who, world_between(world, 1, 100), told);
        break;
    case SITE_DO_TRAIN:
        vault_trains(world, who, effect);
        break;
    case SITE_DO_UPLOAD:
        link_uploads(world, who, effect);
        break;
    case SITE_DO_STORE_CONSENT:
        disk_consents(world, who, effect);
        break;
    case SITE_DO_CLOSED:
        site_closes(world, who, effect);
        break;
    case SITE_DO_RUN_END:
        world->disk[who].ended = true;
        break;
    case SITE_DO_REPORT:
        world_trace(world, who, effect->report.text);
        break;
    case SITE_DO_MASK:
        courier_masks(world, who, effect);
        break;
    case SITE_DO_STOP_UPLOAD:
        world->masked[who].masks = NULL;
        break;
    case SITE_DO_ERASE:
        break;
    }
}

void world_site_event(struct world *world, uint32_t who, const struct site_event *told)
{
    struct site_event event = *told;
    struct site_effects effects;
    uint64_t life = world->life[who];

    put_u64(put_u64(event.fresh, world_draw(world)), who);
    if (site_step(world->site[who], &event, &effects) != CHOIR_OK)
        abort();
    for (size_t i = 0; i < effects.n && world->life[who] == life; i++) {
        if (world_dies(world, who))
            return;
        site_effect(world, who, &effects.item[i]);
    }
}

void world_site_told(struct world *world, uint32_t who, const struct told *told)
{
    struct disk *disk = &world->disk[who];
    struct site_plan plan = {.accepted = true,
                             .rounds = world->run.rounds,
                             .n_parameters = world->run.n_parameters,
                             .lane_bits = world->run.lane_bits,
                             .suite = world->run.suite,
                             .min_sites = world->run.min_sites,
                             .mark = disk->mark};
    struct site_event event = {.kind = (enum site_event_kind)told->kind,
                               .now_ms = world->now,
                               .plan = &plan,
                               .round = told->round,
                               .attempt = told->attempt};

    memcpy(plan.run, world->run.run, sizeof plan.run);
    memcpy(plan.plan_hash, told->hash, HASH_BYTES);
    memcpy(event.hash, told->hash, HASH_BYTES);
    if (event.kind == SITE_UPDATE_READY) {
        vault_charges(world, who, told->round);
        memcpy(event.update.root, disk->root[told->round], HASH_BYTES);
        event.update.bytes = world->run.update_bytes;
    }
    if (event.kind == SITE_MASKED) {
        if (world->masked[who].masks == NULL)
            return; // stopped meanwhile
        world_mask(world, who);
        memcpy(event.update.root, world->masked[who].root, HASH_BYTES);
        memcpy(event.update.digest, disk->root[told->round], HASH_BYTES);
        event.update.bytes = world->run.update_bytes;
    }
    world_site_event(world, who, &event);
}

void world_start_site(struct world *world, uint32_t who)
{
    struct site_settings settings = {.id = who,
                                     .collusion = world->set.collusion,
                                     .minimum_cohort = 2,
                                     .resend_ms = RESEND_MS,
                                     .heartbeat_ms = BEAT_MS,
                                     .open = fake_open};

    settings.suites = 1U << 1 | 1U << 2 | 1U << 3;
    world_graph_terms(world, &settings.graph);
    world_roster(world, &settings.roster);
    world_session(world, settings.session);
    memcpy(world->session[who], settings.session, MESSAGE_NONCE_BYTES);
    if (site_new(&settings, &world->site[who]) != CHOIR_OK)
        abort();
    world->up[who] = true;
    world_push(world, (struct item){.kind = ITEM_TICK, .who = who}, world_between(world, 1, 100));
    if (world->linked[who])
        world_site_event(world, who,
                         &(struct site_event){.kind = SITE_LINK_UP, .now_ms = world->now});
}
