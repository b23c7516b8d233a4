#include "cheat.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cheat_state.h"
#include "crypto/rng.h"
#include "fake.h"
#include "round/quorum.h"

struct cheat cheat;
struct message cheat_message;

static const uint8_t run_id[MESSAGE_RUN_BYTES] = "the run";
static const uint8_t roster_hash[HASH_BYTES] = "the roster";

// Fields are filled in even where the signature is wrong, as a careless caller would find them.
enum choir_err cheat_open_signed(const void *context, const uint8_t *bytes, size_t len,
                                 struct incoming *out)
{
    enum choir_err err;

    (void)context;
    if (len < SIGN_BYTES)
        return CHOIR_ERR_FORMAT;
    err = fake_open(NULL, bytes, len - SIGN_BYTES, out);
    if (err != CHOIR_OK)
        return err;
    out->signed_len = len;
    if (out->sender == 0 || out->sender >= CHEAT_IDS)
        return CHOIR_ERR_MISSING;
    return sign_check(bytes + len - SIGN_BYTES, bytes, len - SIGN_BYTES,
                      cheat.public_key[out->sender]);
}

struct spoken *cheat_find(const struct view *view, uint32_t id, enum message_kind kind,
                          const uint8_t *transcript)
{
    for (size_t i = cheat.n_spoken; i > 0; i--) {
        struct spoken *spoken = &cheat.spoken[i - 1];

        if (spoken->who == id && spoken->kind == kind && spoken->round == view->open.round &&
            spoken->attempt == view->open.attempt &&
            (transcript == NULL || memcmp(spoken->transcript, transcript, HASH_BYTES) == 0))
            return spoken;
    }
    return NULL;
}

void cheat_sign(struct spoken *spoken)
{
    static uint64_t sequence;
    struct incoming message = {.kind = (uint16_t)spoken->kind,
                               .round = spoken->round,
                               .attempt = spoken->attempt,
                               .sender = spoken->who,
                               .body = spoken->body,
                               .body_len = spoken->len};
    uint8_t other_public[SIGN_PUBLIC_BYTES], other_secret[SIGN_SECRET_BYTES];
    const uint8_t *key = cheat.secret_key[spoken->who];
    uint8_t *at = spoken->signed_bytes;

    memcpy(message.run, run_id, MESSAGE_RUN_BYTES);
    memcpy(message.transcript, spoken->transcript, HASH_BYTES);
    if (cheat.impersonated[spoken->who]) {
        sign_keypair(other_public, other_secret);
        key = other_secret;
    }
    spoken->signed_len = fake_seal(&message, ++sequence, at, BODY_BYTES);
    sign_make(at + spoken->signed_len, at, spoken->signed_len, key);
    spoken->signed_len += SIGN_BYTES;
}

struct spoken *cheat_keep(const struct incoming *message)
{
    struct spoken *spoken = &cheat.spoken[cheat.n_spoken];

    if (cheat.n_spoken == SPOKEN_MAX || message->body_len > BODY_BYTES - FAKE_HEAD)
        abort();
    cheat.n_spoken++;
    spoken->who = message->sender;
    spoken->kind = (enum message_kind)message->kind;
    spoken->round = message->round;
    spoken->attempt = message->attempt;
    memcpy(spoken->transcript, message->transcript, HASH_BYTES);
    memcpy(spoken->body, message->body, message->body_len);
    spoken->len = message->body_len;
    cheat_sign(spoken);
    return spoken;
}

static void lanes_of(const uint8_t *bytes, struct lanes *lanes)
{
    for (size_t k = 0; k < CHEAT_LANES; k++)
        lanes->at[k] = get_u32(bytes + 4 * k);
}

// What site `id` learns from its data in this round: numbers of its own. A model whose hash begins
// with DEAD_MODEL lets nothing be learnt.
static void train(uint32_t id, uint64_t round, const uint8_t *model_hash, uint8_t *to)
{
    for (uint32_t k = 0; k < CHEAT_PARAMETERS; k++)
        to =
            put_u32(to, model_hash[0] == DEAD_MODEL ? 0 : id * 100003 + (uint32_t)round * 7919 + k);
    (void)put_u32(to, 1); // the constant lane
}

static struct site_update update_of(const uint8_t *bytes)
{
    struct site_update update = {.bytes = CHEAT_VECTOR_BYTES};

    hash_bytes(update.digest, bytes, CHEAT_VECTOR_BYTES);
    hash_bytes(update.root, bytes, CHEAT_VECTOR_BYTES);
    return update;
}

static void later(struct house *house, const struct site_event *event)
{
    if (house->n_later == LATER_MAX)
        abort();
    house->later[house->n_later++] = *event;
}

static void masks_go_on(struct house *house, const struct site_effect *effect)
{
    struct site_event event = {
        .kind = SITE_MASKED, .round = effect->mask.round, .attempt = effect->mask.attempt};
    struct mask *worker = NULL;

    if (mask_open(effect->mask.suite, &worker) != CHOIR_OK)
        abort();
    memcpy(house->sent, house->update[effect->mask.round], CHEAT_VECTOR_BYTES);
    maskset_apply(effect->mask.masks, worker, 0, 32, 0, house->sent, CHEAT_VECTOR_BYTES);
    mask_close(worker);
    event.update = update_of(house->sent);
    memcpy(event.update.digest, effect->mask.update.digest, HASH_BYTES);
    later(house, &event);
}

static void site_says(struct house *house, const struct site_effect *effect)
{
    struct incoming message = {.kind = (uint16_t)effect->send.kind,
                               .round = effect->send.round,
                               .attempt = effect->send.attempt,
                               .sender = house->id,
                               .body = effect->send.body,
                               .body_len = effect->send.body_len};
    struct spoken *spoken;

    memcpy(message.run, effect->send.run, MESSAGE_RUN_BYTES);
    memcpy(message.transcript, effect->send.transcript, HASH_BYTES);
    spoken = cheat_keep(&message);
    if (message.kind == MESSAGE_MASKED)
        lanes_of(house->sent, &spoken->vector);
}

static void site_trains(struct house *house, const struct site_effect *effect)
{
    uint64_t round = effect->train.round;
    struct site_event event = {.kind = SITE_UPDATE_READY, .round = round};

    if (!house->trained[round]) { // charged once; the same bytes for ever
        house->trained[round] = true;
        train(house->id, round, effect->train.model_hash, house->update[round]);
    }
    event.update = update_of(house->update[round]);
    memcpy(house->sent, house->update[round], CHEAT_VECTOR_BYTES); // until it is masked
    later(house, &event);
}

// The store keeps whatever it is given.
static void at_home(struct house *house, const struct site_effect *effect)
{
    struct site_event event = {.kind = SITE_TICK};

    switch (effect->kind) {
    case SITE_DO_SEND:
        site_says(house, effect);
        break;
    case SITE_DO_STORE_MARK:
        house->mark = effect->mark;
        event.kind = SITE_MARK_STORED;
        event.round = effect->mark.round;
        event.attempt = effect->mark.attempt;
        later(house, &event);
        break;
    case SITE_DO_FETCH_MODEL:
        event.kind = SITE_MODEL_READY;
        memcpy(event.hash, effect->hash, HASH_BYTES);
        later(house, &event);
        break;
    case SITE_DO_TRAIN:
        site_trains(house, effect);
        break;
    case SITE_DO_MASK:
        masks_go_on(house, effect);
        break;
    case SITE_DO_UPLOAD:
        event.kind = SITE_UPLOADED;
        memcpy(event.hash, effect->upload.update.root, HASH_BYTES);
        later(house, &event);
        break;
    case SITE_DO_STORE_CONSENT:
        event.kind = SITE_CONSENT_STORED;
        memcpy(event.hash, effect->consent.r2, HASH_BYTES);
        later(house, &event);
        break;
    case SITE_DO_REPORT:
        house->refused = effect->report.code;
        break;
    case SITE_DO_CHECK_PLAN:
    case SITE_DO_JOIN:
    case SITE_DO_STOP_UPLOAD:
    case SITE_DO_ERASE:
    case SITE_DO_CLOSED:
    case SITE_DO_RUN_END:
        break;
    }
}

void cheat_happens(struct house *house, const struct site_event *first)
{
    static struct site_effects effects;

    later(house, first);
    while (house->n_later > 0) {
        struct site_event event = house->later[0];

        memmove(&house->later[0], &house->later[1], --house->n_later * sizeof event);
        event.now_ms = cheat.now_ms;
        rng_bytes(event.fresh, sizeof event.fresh);
        if (site_step(house->site, &event, &effects) != CHOIR_OK)
            abort();
        for (size_t i = 0; i < effects.n; i++)
            at_home(house, &effects.item[i]);
    }
}

static void join(struct house *house)
{
    static const char plan_bytes[] = "{}";
    struct site_plan plan = {.accepted = true,
                             .rounds = ROUNDS - 1,
                             .n_parameters = CHEAT_PARAMETERS,
                             .lane_bits = 32,
                             .suite = cheat.terms.suite,
                             .min_sites = 2,
                             .mark = house->mark};
    struct view none = {0};

    memcpy(plan.run, run_id, MESSAGE_RUN_BYTES);
    cheat_happens(house, &(struct site_event){.kind = SITE_LINK_UP});
    memset(&cheat_message, 0, sizeof cheat_message);
    cheat_message.kind = MESSAGE_PLAN_OFFER;
    cheat_message.plan_offer.plan = (const uint8_t *)plan_bytes;
    cheat_message.plan_offer.plan_len = 2;
    cheat_tell(&none, house->id, none.r[0]);
    cheat_happens(house, &(struct site_event){.kind = SITE_PLAN_CHECKED, .plan = &plan});
}

// The node starts, with what its store holds.
static void start(struct house *house)
{
    struct site_settings settings = {.id = house->id,
                                     .session = {(uint8_t)house->id, ++house->n_starts},
                                     .collusion = cheat.terms.collusion,
                                     .graph = {.collusion = cheat.terms.collusion},
                                     .suites = 0xf,
                                     .minimum_cohort = cheat.terms.cohort,
                                     .resend_ms = 500,
                                     .heartbeat_ms = 1000000,
                                     .open = cheat_open_signed};

    settings.roster = cheat_sites(cheat.terms.n);
    memcpy(settings.roster_hash, roster_hash, HASH_BYTES);
    if (site_new(&settings, &house->site) != CHOIR_OK)
        abort();
    join(house);
}

void cheat_restart(uint32_t id)
{
    site_free(cheat.house[id].site);
    start(&cheat.house[id]);
}

void cheat_restore(uint32_t id)
{
    memset(&cheat.house[id].mark, 0, sizeof cheat.house[id].mark);
    cheat_restart(id);
}

void cheat_begin(const struct cheat_terms *terms)
{
    if (rng_start() != CHOIR_OK)
        abort();
    memset(&cheat, 0, sizeof cheat);
    cheat.terms = *terms;
    cheat.now_ms = 1000;
    for (uint32_t id = 1; id < CHEAT_IDS; id++)
        sign_keypair(cheat.public_key[id], cheat.secret_key[id]);
    for (uint32_t id = 1; id <= terms->n_honest; id++) {
        cheat.house[id].id = id;
        start(&cheat.house[id]);
    }
}

void cheat_end(void)
{
    for (uint32_t id = 1; id < CHEAT_IDS; id++)
        site_free(cheat.house[id].site);
    memset(&cheat, 0, sizeof cheat);
}

struct site_set cheat_sites(uint32_t n)
{
    struct site_set set = {.n = n};

    for (uint32_t i = 0; i < n; i++)
        set.id[i] = i + 1;
    return set;
}

struct site_set cheat_list(const uint32_t *ids)
{
    struct site_set set = {.n = 0};

    while (ids[set.n] != 0) {
        set.id[set.n] = ids[set.n];
        set.n++;
    }
    return set;
}

bool cheat_is_honest(uint32_t id)
{
    return id >= 1 && id <= cheat.terms.n_honest && !cheat.impersonated[id];
}

void cheat_impersonate(uint32_t id)
{
    cheat.impersonated[id] = true;
}

void cheat_tick(uint32_t id)
{
    cheat.now_ms += 1000;
    cheat_happens(&cheat.house[id], &(struct site_event){.kind = SITE_TICK});
}

size_t cheat_said(const struct view *view, uint32_t id, enum message_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < cheat.n_spoken; i++) {
        const struct spoken *spoken = &cheat.spoken[i];

        if (spoken->who == id && spoken->kind == kind && spoken->round == view->open.round &&
            spoken->attempt == view->open.attempt)
            n++;
    }
    return n;
}

const struct message *cheat_heard(const struct view *view, uint32_t id, enum message_kind kind)
{
    static struct message heard;
    const struct spoken *spoken = cheat_find(view, id, kind, NULL);

    if (spoken == NULL ||
        message_decode((uint16_t)kind, spoken->body, spoken->len, &heard) != CHOIR_OK)
        abort();
    return &heard;
}

uint8_t *cheat_envelope(const struct view *view, uint32_t id, enum message_kind kind, size_t *len)
{
    struct spoken *spoken = cheat_find(view, id, kind, NULL);

    if (spoken == NULL)
        abort();
    *len = spoken->signed_len;
    return spoken->signed_bytes;
}

enum message_code cheat_refused(uint32_t id)
{
    return cheat.house[id].refused;
}

void cheat_deliver(uint32_t to, const struct incoming *message)
{
    if (message->kind == MESSAGE_ROUND_OPEN)
        cheat.house[to].refused = MESSAGE_CODE_NONE;
    cheat_happens(&cheat.house[to], &(struct site_event){.kind = SITE_MESSAGE, .message = message});
}

void cheat_tell(const struct view *view, uint32_t to, const uint8_t transcript[static HASH_BYTES])
{
    static uint8_t body[MESSAGE_BODY_MAX];
    struct incoming message = {.kind = (uint16_t)cheat_message.kind,
                               .round = view->open.round,
                               .attempt = view->open.attempt,
                               .body = body};

    memcpy(message.run, run_id, MESSAGE_RUN_BYTES);
    memcpy(message.transcript, transcript, HASH_BYTES);
    if (message_encode(&cheat_message, body, sizeof body, &message.body_len) != CHOIR_OK)
        abort();
    cheat_deliver(to, &message);
}

struct lanes cheat_truth(const struct view *view, const struct site_set *sites)
{
    struct lanes sum = {{0}};

    for (size_t i = 0; i < sites->n; i++) {
        struct lanes one;

        lanes_of(cheat.house[sites->id[i]].update[view->open.round], &one);
        for (size_t k = 0; k < CHEAT_LANES; k++)
            sum.at[k] += one.at[k];
    }
    return sum;
}

struct lanes cheat_minus(const struct lanes *a, const struct lanes *b)
{
    struct lanes difference;

    for (size_t k = 0; k < CHEAT_LANES; k++)
        difference.at[k] = a->at[k] - b->at[k];
    return difference;
}

bool cheat_same(const struct lanes *a, const struct lanes *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}
