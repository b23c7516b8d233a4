#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/hash.h"
#include "fake.h"
#include "round/gather.h"
#include "round/site.h"

enum {
    SITES = 8,      // ids 1..7; index 0 is the aggregator
    ROUNDS = 16,    // rounds 1..15
    CONSENTS = 256, // stored by one site
    RECORDS = 4096,
    RESEND_MS = 400,
    BEAT_MS = 500,
    DEADLINE_MS = 3000,
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
    uint8_t model[ROUNDS + 1][HASH_BYTES]; // after round t
    bool merged[ROUNDS];
    uint32_t merged_attempt[ROUNDS];
    struct site_set merged_sites[ROUNDS];
    uint32_t threshold[ROUNDS];       // T, as the sites were told
    uint32_t revealed_by[ROUNDS][64]; // sites that sent UNMASK, by attempt
    bool ended;
};

static uint64_t draw(struct world *world)
{
    uint64_t z = world->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static bool chance(struct world *world, double p)
{
    return (double)(draw(world) >> 11) * 0x1p-53 < p;
}

static uint64_t between(struct world *world, uint64_t low, uint64_t high)
{
    return low + draw(world) % (high - low + 1);
}

static bool faulty(const struct world *world)
{
    return world->now < world->set.faults_ms;
}

static void must(struct world *world, bool holds, const char *format, ...) CHOIR_PRINTF(3, 4);

static void must(struct world *world, bool holds, const char *format, ...)
{
    va_list args;

    if (holds || world->result->broken)
        return;
    world->result->broken = true;
    va_start(args, format);
    vsnprintf(world->result->what, sizeof world->result->what, format, args);
    va_end(args);
}

// What the parties report, for people who look for the reason (CHOIR_TRACE=1).
static void trace(const struct world *world, uint32_t who, const char *text)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    if (getenv("CHOIR_TRACE") != NULL)
        fprintf(stderr, "# %6llu %u: %s\n", (unsigned long long)world->now, (unsigned)who, text);
}

// --- the queue of what happens next ---

static bool before(const struct item *a, const struct item *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void push(struct world *world, struct item item, uint64_t delay)
{
    size_t i = world->n_items++;

    if (world->n_items > world->max_items) {
        world->max_items = 2 * world->max_items + 64;
        world->heap = realloc(world->heap, world->max_items * sizeof *world->heap);
        if (world->heap == NULL)
            abort();
    }
    item.at = world->now + delay;
    item.order = world->order++;
    item.life = world->life[item.who];
    while (i > 0 && before(&item, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = item;
}

static struct item pop(struct world *world)
{
    struct item top = world->heap[0];
    struct item last = world->heap[--world->n_items];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= world->n_items)
            break;
        if (child + 1 < world->n_items && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return top;
}

static void tell(struct world *world, uint32_t who, uint64_t delay, struct told told)
{
    push(world, (struct item){.kind = ITEM_TOLD, .who = who, .told = told}, delay);
}

static uint64_t travel(struct world *world)
{
    if (faulty(world) && chance(world, world->set.slow))
        return between(world, 100, 4000);
    return between(world, 1, 20);
}

static void send_copy(struct world *world, uint32_t to, const uint8_t *bytes, size_t len)
{
    struct item item = {.kind = ITEM_MESSAGE, .who = to, .bytes = malloc(len), .len = len};

    if (item.bytes == NULL)
        abort();
    memcpy(item.bytes, bytes, len);
    push(world, item, travel(world));
}

static void send_bytes(struct world *world, uint32_t from, uint32_t to, const uint8_t *bytes,
                       size_t len)
{
    uint32_t site = from == 0 ? to : from;

    if (!world->linked[site] || (faulty(world) && chance(world, world->set.drop)))
        return;
    send_copy(world, to, bytes, len);
    if (faulty(world) && chance(world, world->set.repeat))
        send_copy(world, to, bytes, len);
}

static void send_message(struct world *world, uint32_t to, struct incoming *message)
{
    static uint8_t bytes[FAKE_HEAD + MESSAGE_BODY_MAX];
    size_t len = fake_seal(message, world->sequence++, bytes, sizeof bytes);

    if (message->sender == 0 || to == 0)
        send_bytes(world, message->sender, to, bytes, len);
}

// --- crash and start ---

static void crash(struct world *world, uint32_t who)
{
    world->result->crashes++;
    trace(world, who, "crashes");
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
    push(world, (struct item){.kind = ITEM_START, .who = who},
         world->set.restore && faulty(world) ? between(world, 50, 6000)
                                             : world->set.faults_ms + 100 - world->now);
}

// True if the party dies before its next effect.
static bool dies(struct world *world, uint32_t who)
{
    if (!faulty(world) || !chance(world, world->set.crash))
        return false;
    crash(world, who);
    return true;
}

static void session(struct world *world, uint8_t nonce[static MESSAGE_NONCE_BYTES])
{
    memset(nonce, 0, MESSAGE_NONCE_BYTES);
    put_u64(nonce, ++world->sessions);
}

static void roster(const struct world *world, struct site_set *set)
{
    set->n = 0;
    for (uint32_t i = 1; i <= world->set.n_sites; i++)
        set->id[set->n++] = i;
}

static void site_event(struct world *world, uint32_t who, const struct site_event *event);
static void gather_told(struct world *world, const struct gather_event *told, bool resume);

static void start_site(struct world *world, uint32_t who)
{
    struct site_settings settings = {.id = who,
                                     .collusion = world->set.collusion,
                                     .minimum_cohort = 2,
                                     .resend_ms = RESEND_MS,
                                     .heartbeat_ms = BEAT_MS,
                                     .open = fake_open};

    roster(world, &settings.roster);
    session(world, settings.session);
    memcpy(world->session[who], settings.session, MESSAGE_NONCE_BYTES);
    if (site_new(&settings, &world->site[who]) != CHOIR_OK)
        abort();
    world->up[who] = true;
    push(world, (struct item){.kind = ITEM_TICK, .who = who}, between(world, 1, 100));
    if (world->linked[who])
        site_event(world, who, &(struct site_event){.kind = SITE_LINK_UP, .now_ms = world->now});
}

static void start_gather(struct world *world)
{
    struct gather_settings settings = {.collusion = world->set.collusion,
                                       .resend_ms = RESEND_MS,
                                       .heartbeat_ms = BEAT_MS,
                                       .open = fake_open};

    roster(world, &settings.roster);
    session(world, settings.boot);
    if (gather_new(&settings, &world->gather) != CHOIR_OK)
        abort();
    world->up[0] = true;
    push(world, (struct item){.kind = ITEM_TICK, .who = 0}, between(world, 1, 100));
    for (size_t i = 0; i < world->n_records; i++)
        must(world,
             gather_replay(world->gather, world->record[i], world->record_len[i]) == CHOIR_OK,
             "journal record %zu is not taken back", i);
    if (world->result->broken)
        return;
    if (world->n_records > 0) {
        world->result->resumed++;
        gather_told(world, &(struct gather_event){.kind = GATHER_TICK}, true);
    } else {
        gather_told(world, &(struct gather_event){.kind = GATHER_START, .run = &world->run}, false);
    }
}

// --- a site's surroundings: vault, disk, bulk link ---

static void vault_trains(struct world *world, uint32_t who, const struct site_effect *effect)
{
    uint64_t round = effect->train.round;
    struct disk *disk = &world->disk[who];

    must(world, disk->mark.round == round, "site %u trains round %llu without a mark", who,
         (unsigned long long)round);
    tell(world, who, between(world, 5, faulty(world) && chance(world, world->set.slow) ? 8000 : 60),
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
    put_u64(put_u64(put_u64(secret, who), round), draw(world)); // new noise each time
    hash_bytes(disk->root[round], secret, sizeof secret);
}

static void disk_marks(struct world *world, uint32_t who, const struct mark *mark)
{
    struct disk *disk = &world->disk[who];
    bool above = mark->round > disk->mark.round ||
                 (mark->round == disk->mark.round && mark->attempt > disk->mark.attempt);
    bool reveals = mark->round == disk->mark.round && mark->attempt == disk->mark.attempt &&
                   mark->revealed && !disk->mark.revealed;

    must(world, above || reveals, "site %u stores a mark that is not above the old", who);
    must(world, mark->round != disk->mark.round || !disk->mark.revealed,
         "site %u begins another attempt of a round it has revealed", who);
    must(world,
         world->threshold[mark->round] == 0 || world->threshold[mark->round] == mark->threshold,
         "T changes within round %llu", (unsigned long long)mark->round);
    world->threshold[mark->round] = mark->threshold;
    disk->mark = *mark;
    tell(world, who, between(world, 0, 5),
         (struct told){.kind = SITE_MARK_STORED, .round = mark->round, .attempt = mark->attempt});
}

static void disk_consents(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct disk *disk = &world->disk[who];
    struct told told = {.kind = SITE_CONSENT_STORED};

    memcpy(told.hash, effect->consent.r2, HASH_BYTES);
    for (size_t i = 0; i < disk->n_consents; i++)
        must(world,
             memcmp(disk->r2[i], effect->consent.r2, HASH_BYTES) != 0 ||
                 memcmp(disk->r3[i], effect->consent.r3, HASH_BYTES) == 0,
             "site %u consents to a second survivor set", who);
    if (disk->n_consents < CONSENTS) {
        memcpy(disk->r2[disk->n_consents], effect->consent.r2, HASH_BYTES);
        memcpy(disk->r3[disk->n_consents++], effect->consent.r3, HASH_BYTES);
    }
    tell(world, who, between(world, 0, 5), told);
}

static void link_uploads(struct world *world, uint32_t who, const struct site_effect *effect)
{
    struct item item = {.kind = ITEM_UPLOAD, .who = who};
    uint64_t round = effect->upload.round;

    must(world, world->disk[who].charged[round], "site %u uploads before the charge", who);
    must(world, memcmp(effect->upload.update.root, world->disk[who].root[round], HASH_BYTES) == 0,
         "site %u uploads something else than it was charged for", who);
    memcpy(item.told.hash, effect->upload.update.root, HASH_BYTES);
    push(world, item,
         between(world, 5, faulty(world) && chance(world, world->set.slow) ? 5000 : 50));
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

    memcpy(message.run, effect->send.run, sizeof message.run);
    memcpy(message.transcript, effect->send.transcript, HASH_BYTES);
    if (message.kind == MESSAGE_MASKED)
        must(world, disk->charged[round], "site %u announces an update before the charge", who);
    if (message.kind == MESSAGE_UNMASK) {
        must(world, disk->unmasked[round] == 0 || disk->unmasked[round] == message.attempt,
             "site %u reveals two attempts of round %llu", who, (unsigned long long)round);
        must(world, disk->mark.revealed, "site %u reveals without a mark", who);
        disk->unmasked[round] = message.attempt;
        world->revealed_by[round][message.attempt % 64] |= 1U << who;
    }
    send_message(world, 0, &message);
}

static void site_joins(struct world *world, uint32_t who)
{
    static struct message join;
    uint8_t body[512];
    struct incoming message = {.kind = MESSAGE_JOIN, .sender = who, .body = body};

    join.kind = MESSAGE_JOIN;
    memcpy(join.join.session, world->session[who], MESSAGE_NONCE_BYTES);
    if (message_encode(&join, body, sizeof body, &message.body_len) != CHOIR_OK)
        abort();
    send_message(world, 0, &message);
}

static void site_closes(struct world *world, uint32_t who, const struct site_effect *effect)
{
    uint64_t round = effect->closed.round;

    must(world, world->merged[round], "site %u hears of a close without a sum", who);
    must(world, memcmp(effect->closed.model_hash, world->model[round], HASH_BYTES) == 0,
         "site %u gets another model for round %llu", who, (unsigned long long)round);
    must(world, effect->closed.took_part == site_set_has(&world->merged_sites[round], who),
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
        tell(world, who, between(world, 0, 30), told);
        break;
    case SITE_DO_STORE_MARK:
        disk_marks(world, who, &effect->mark);
        break;
    case SITE_DO_FETCH_MODEL:
        memcpy(told.hash, effect->hash, HASH_BYTES);
        if (faulty(world) && chance(world, world->set.drop))
            told.kind = SITE_MODEL_FAILED;
        tell(world, who, between(world, 1, 100), told);
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
        trace(world, who, effect->report.text);
        break;
    case SITE_DO_STOP_UPLOAD:
    case SITE_DO_ERASE:
        break;
    }
}

static void site_event(struct world *world, uint32_t who, const struct site_event *event)
{
    struct site_effects effects;
    uint64_t life = world->life[who];

    if (site_step(world->site[who], event, &effects) != CHOIR_OK)
        abort();
    for (size_t i = 0; i < effects.n && world->life[who] == life; i++) {
        if (dies(world, who))
            return;
        site_effect(world, who, &effects.item[i]);
    }
}

static void site_told(struct world *world, uint32_t who, const struct told *told)
{
    struct disk *disk = &world->disk[who];
    struct site_plan plan = {.accepted = true,
                             .rounds = world->run.rounds,
                             .n_parameters = world->run.n_parameters,
                             .lane_bits = world->run.lane_bits,
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
    site_event(world, who, &event);
}

// --- the aggregator's surroundings: journal, bulk link, merge ---

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
    for (size_t i = 0; i < effect->send.to->n; i++)
        send_message(world, effect->send.to->id[i], &message);
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
        tell(world, 0, 1, told);
}

// Adds the vectors up: each is one unit vector, found by the root it was announced under.
static void merges(struct world *world, const struct gather_effect *effect)
{
    uint64_t round = effect->merge.round;
    const struct site_set *sites = effect->merge.sites;
    struct told told = {.kind = GATHER_MERGED, .round = round};
    uint32_t sum[SITES] = {0};
    uint8_t seed[HASH_BYTES + 8 + 4 * SITES] = {0};

    must(world, sites->n >= world->set.min_sites, "a sum over %zu sites", sites->n);
    for (size_t i = 0; i < sites->n; i++) {
        uint32_t id = sites->id[i];

        must(world, world->upload[id].here, "the upload of site %u is gone", id);
        must(world,
             memcmp(world->upload[id].root, effect->merge.roots[i], HASH_BYTES) == 0 &&
                 memcmp(world->disk[id].root[round], effect->merge.roots[i], HASH_BYTES) == 0,
             "the sum would hold something else than site %u was charged for", id);
        sum[id]++;
    }
    for (uint32_t i = 1; i < SITES; i++)
        must(world, sum[i] <= 1, "site %u is in the sum %u times", i, sum[i]);
    if (world->merged[round])
        must(world,
             world->merged_attempt[round] == effect->merge.attempt &&
                 world->merged_sites[round].n == sites->n &&
                 site_set_within(sites, &world->merged_sites[round]),
             "round %llu is summed over two different sets", (unsigned long long)round);
    must(world, memcmp(effect->merge.model_hash, world->run.model_hash, HASH_BYTES) == 0,
         "round %llu does not begin with the newest model", (unsigned long long)round);
    world->merged[round] = true;
    world->merged_attempt[round] = effect->merge.attempt;
    world->merged_sites[round] = *sites;
    memcpy(put_u64(put_bytes(seed, effect->merge.model_hash, HASH_BYTES), round), sum, sizeof sum);
    hash_bytes(told.hash, seed, sizeof seed);
    memcpy(told.other, told.hash, HASH_BYTES);
    memcpy(world->model[round], told.hash, HASH_BYTES);
    tell(world, 0, between(world, 1, 50), told);
}

static void closes(struct world *world, const struct gather_effect *effect)
{
    uint64_t round = effect->closed.round;

    must(world, memcmp(effect->closed.model_hash, world->model[round], HASH_BYTES) == 0,
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
        trace(world, 0, effect->report.text);
        break;
    case GATHER_DO_SURVIVORS:
        break;
    }
}

static void gather_told(struct world *world, const struct gather_event *told, bool resume)
{
    struct gather_event event = *told;
    struct gather_effects effects;
    uint64_t life = world->life[0];

    event.now_ms = world->now;
    put_u64(event.fresh, draw(world));
    if ((resume ? gather_resume(world->gather, &event, &effects)
                : gather_step(world->gather, &event, &effects)) != CHOIR_OK)
        abort();
    for (size_t i = 0; i < effects.n && world->life[0] == life; i++) {
        if (dies(world, 0))
            return;
        gather_effect(world, &effects.item[i]);
    }
}

static void local_told(struct world *world, const struct told *told)
{
    struct gather_event event = {
        .kind = (enum gather_event_kind)told->kind, .site = told->site, .round = told->round};

    memcpy(event.hash, told->hash, HASH_BYTES);
    memcpy(event.sum_hash, told->other, HASH_BYTES);
    gather_told(world, &event, false);
}

// An upload has arrived whole; it counts if the aggregator expects it.
static void uploaded(struct world *world, const struct item *item)
{
    struct upload *upload = &world->upload[item->who];
    struct told told = {.kind = GATHER_UPLOADED, .site = item->who};

    if (!world->up[0] || !world->linked[item->who] || !upload->expected ||
        memcmp(upload->root, item->told.hash, HASH_BYTES) != 0)
        return;
    upload->here = true;
    memcpy(told.hash, item->told.hash, HASH_BYTES);
    tell(world, 0, 1, told);
    told.kind = SITE_UPLOADED;
    tell(world, item->who, between(world, 1, 20), told);
}

// --- time ---

static void tick(struct world *world, uint32_t who)
{
    push(world, (struct item){.kind = ITEM_TICK, .who = who}, 100);
    if (who == 0)
        gather_told(world, &(struct gather_event){.kind = GATHER_TICK}, false);
    else
        site_event(world, who, &(struct site_event){.kind = SITE_TICK, .now_ms = world->now});
}

static void deliver(struct world *world, struct item *item)
{
    struct incoming message;

    if (fake_open(NULL, item->bytes, item->len, &message) != CHOIR_OK)
        abort();
    if (item->who == 0)
        gather_told(world, &(struct gather_event){.kind = GATHER_MESSAGE, .message = &message},
                    false);
    else
        site_event(
            world, item->who,
            &(struct site_event){.kind = SITE_MESSAGE, .now_ms = world->now, .message = &message});
}

// Once a second each link may be cut or mended.
static void change_link(struct world *world, uint32_t who)
{
    bool up = !faulty(world) ||
              (world->linked[who] ? !chance(world, world->set.cut) : chance(world, 0.3));

    push(world, (struct item){.kind = ITEM_LINK, .who = who}, 1000);
    if (up == world->linked[who])
        return;
    world->linked[who] = up;
    if (world->up[who])
        site_event(
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
            local_told(world, &item->told);
        else
            site_told(world, item->who, &item->told);
        break;
    case ITEM_UPLOAD:
        uploaded(world, item);
        break;
    case ITEM_CRASH:
        break;
    case ITEM_START:
        if (!alive && item->who == 0)
            start_gather(world);
        else if (!alive)
            start_site(world, item->who);
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
        ended = ended && world->disk[i].ended;
    return ended;
}

// At most one attempt of a round can have been opened by T sites.
static void check_reveals(struct world *world)
{
    for (uint64_t round = 1; round <= world->set.rounds; round++) {
        int opened = 0;

        for (size_t attempt = 0; attempt < 64; attempt++) {
            unsigned n = (unsigned)__builtin_popcount(world->revealed_by[round][attempt]);

            if (n >= 1 && n >= world->threshold[round])
                opened++;
        }
        must(world, opened <= 1, "round %llu was opened in two attempts",
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
    run->n_parameters = 10;
    run->update_bytes = 44;
    run->lane_bits = 32;
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
        push(world, (struct item){.kind = ITEM_START, .who = i}, between(world, 0, 500));
        if (i > 0)
            push(world, (struct item){.kind = ITEM_LINK, .who = i}, between(world, 1, 1000));
    }
    while (!result->broken && world->now < settings->end_ms && !all_ended(world)) {
        struct item item = pop(world);

        world->now = item.at;
        happen(world, &item);
        free(item.bytes); // NOLINT(clang-analyzer-unix.Malloc): popped once, so freed once
    }
    check_reveals(world);
    result->ended = all_ended(world);
    result->ended_ms = world->now;
    end_world(world);
}
