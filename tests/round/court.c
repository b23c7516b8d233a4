#include "court.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/rng.h"
#include "fake.h"

struct court court;

static const uint8_t run_id[MESSAGE_RUN_BYTES] = "the run";
static const uint8_t roster_hash[HASH_BYTES] = "the roster";
static struct message reading;

static void act(const struct gather_effects *effects);

static void happens(struct gather_event event)
{
    static struct gather_effects effects;

    event.now_ms = cheat.now_ms;
    rng_bytes(event.fresh, sizeof event.fresh);
    if (gather_step(court.gather, &event, &effects) != CHOIR_OK) {
        court.broken = true;
        return;
    }
    act(&effects);
}

// The door of the aggregator: no letter gets in whose signature is wrong.
static void enters(const struct spoken *letter)
{
    struct incoming message;

    if (cheat_open_signed(NULL, letter->signed_bytes, letter->signed_len, &message) == CHOIR_OK)
        happens((struct gather_event){.kind = GATHER_MESSAGE, .message = &message});
}

static void letters_arrive(void)
{
    while (court.n_heard < cheat.n_spoken && !court.broken) {
        struct spoken letter = cheat.spoken[court.n_heard++];
        size_t times = court.tamper != NULL ? court.tamper(&letter) : 1;

        for (size_t k = 0; k < times; k++)
            enters(&letter);
    }
}

static void speak(enum message_kind kind)
{
    if (court.silent_after != 0 && kind > court.silent_after)
        return;
    for (uint32_t id = cheat.terms.n_honest + 1; id <= cheat.terms.n; id++)
        if (site_set_has(&court.view.open.sites, id))
            cheat_accomplice_says(&court.view, id, kind);
}

// The next link of the transcript, from a list that the aggregator sends.
static void link_list(unsigned step, const struct envelope_list *list, struct site_set *set)
{
    static struct said said;
    struct incoming item;

    set->n = 0;
    said.n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (cheat_open_signed(NULL, list->item[i].at, list->item[i].len, &item) != CHOIR_OK)
            abort();
        said.id[said.n] = set->id[set->n++] = item.sender;
        hash_bytes(said.hash[said.n++], item.body, item.body_len);
    }
    if (transcript_next(court.view.r[step], step, court.view.r[step - 1], &said) != CHOIR_OK)
        abort();
}

static void link_bundles(const struct msg_shares_all *all)
{
    static struct said said;

    court.view.v2.n = 0;
    said.n = all->n;
    for (size_t i = 0; i < all->n; i++) {
        said.id[i] = court.view.v2.id[court.view.v2.n++] = all->bundle[i].from;
        memcpy(said.hash[i], all->bundle[i].bundle_hash, HASH_BYTES);
    }
    if (transcript_next(court.view.r[2], 2, court.view.r[1], &said) != CHOIR_OK)
        abort();
}

// Keeps up with what everybody is told; then the accomplices answer.
static void follow(enum message_kind kind, const uint8_t *body, size_t len)
{
    struct view *view = &court.view;

    if (message_decode((uint16_t)kind, body, len, &reading) != CHOIR_OK)
        abort();
    if (kind == MESSAGE_ROUND_OPEN && reading.round_open.round == view->open.round &&
        reading.round_open.attempt == view->open.attempt)
        return; // once more
    if (kind == MESSAGE_ROUND_OPEN) {
        memset(view, 0, sizeof *view);
        view->open = reading.round_open;
        if (transcript_open(view->r[0], roster_hash, body, len) != CHOIR_OK)
            abort();
        speak(MESSAGE_ADVERTISE);
    } else if (kind == MESSAGE_ADVERTS) {
        link_list(1, &reading.adverts.adverts, &view->v1);
        speak(MESSAGE_SHARES);
    } else if (kind == MESSAGE_SHARES_ALL) {
        link_bundles(&reading.shares_all);
        speak(MESSAGE_MASKED);
    } else if (kind == MESSAGE_SURVIVORS) {
        link_list(3, &reading.survivors.headers, &view->u);
        speak(MESSAGE_CONSENT);
    }
}

static void sends(const struct gather_effect *effect)
{
    struct incoming message = {.kind = (uint16_t)effect->send.kind,
                               .round = effect->send.round,
                               .attempt = effect->send.attempt};
    bool followed = false;

    memcpy(message.run, effect->send.run, MESSAGE_RUN_BYTES);
    memcpy(message.transcript, effect->send.transcript, HASH_BYTES);
    for (size_t i = 0; i < effect->send.to->n; i++) {
        uint32_t to = effect->send.to->id[i];

        if (gather_body(court.gather, effect, to, &message.body, &message.body_len) != CHOIR_OK)
            abort();
        if (!followed && effect->send.to->n > 1)
            follow(effect->send.kind, message.body, message.body_len);
        followed = true;
        if (cheat_is_honest(to))
            cheat_deliver(to, &message);
    }
}

static void expects(const struct gather_effect *effect)
{
    uint32_t site = effect->upload.site;
    struct gather_event event = {.kind = GATHER_UPLOADED, .site = site};
    uint8_t root[HASH_BYTES];

    hash_bytes(root, cheat.house[site].sent, CHEAT_VECTOR_BYTES);
    memcpy(event.hash, effect->upload.root, HASH_BYTES);
    if (court.keeps_vector[site] ||
        (cheat_is_honest(site) && memcmp(root, effect->upload.root, HASH_BYTES) != 0))
        return;
    for (size_t k = 0; k < (court.uploads == 0 ? 1 : court.uploads); k++)
        court.upload[court.n_uploads++ % COURT_UPLOADS] = event;
}

// Accomplices add nothing but masks to the sum.
static void merges(const struct gather_effect *effect)
{
    struct gather_event event = {.kind = GATHER_MERGED, .round = effect->merge.round};
    uint8_t bytes[CHEAT_VECTOR_BYTES];
    struct mask *worker = NULL;

    memset(&court.sum, 0, sizeof court.sum);
    court.u = *effect->merge.sites;
    for (size_t i = 0; i < court.u.n; i++) {
        const struct spoken *header =
            cheat_find(&court.view, court.u.id[i], MESSAGE_MASKED, court.view.r[2]);

        for (size_t k = 0; header != NULL && k < CHEAT_LANES; k++)
            court.sum.at[k] += header->vector.at[k];
    }
    for (size_t k = 0; k < CHEAT_LANES; k++)
        (void)put_u32(bytes + 4 * k, court.sum.at[k]);
    if (mask_open(maskset_suite(effect->merge.unmask), &worker) != CHOIR_OK)
        abort();
    maskset_apply(effect->merge.unmask, worker, 0, 32, 0, bytes, sizeof bytes);
    mask_close(worker);
    for (size_t k = 0; k < CHEAT_LANES; k++)
        court.sum.at[k] = get_u32(bytes + 4 * k);
    court.n_merged++;
    court.merged = event;
    court.has_merged = true;
}

static void reported(const struct gather_effect *effect)
{
    struct court_report *report = &court.report[court.n_reports++ % COURT_REPORTS];

    report->code = effect->report.code;
    report->site = effect->report.site;
    memcpy(report->text, effect->report.text, sizeof report->text);
    if (report->site < CHEAT_IDS && strstr(report->text, "is suspended") != NULL)
        court.suspended[report->site] = true;
}

static void act(const struct gather_effects *effects)
{
    for (size_t i = 0; i < effects->n; i++) {
        const struct gather_effect *effect = &effects->item[i];

        if (effect->kind == GATHER_DO_SEND)
            sends(effect);
        else if (effect->kind == GATHER_DO_EXPECT_UPLOAD)
            expects(effect);
        else if (effect->kind == GATHER_DO_MERGE)
            merges(effect);
        else if (effect->kind == GATHER_DO_REPORT)
            reported(effect);
        else if (effect->kind == GATHER_DO_OPENED)
            court.attempts++;
        else if (effect->kind == GATHER_DO_CLOSED)
            court.closed = true;
        else if (effect->kind == GATHER_DO_LOST)
            court.lost = true;
    }
}

// Everything that follows from what has happened, without any time passing.
static void settle(void)
{
    size_t done;

    do {
        done = court.n_heard + court.n_told;
        letters_arrive();
        while (court.n_told < court.n_uploads && !court.broken)
            happens(court.upload[court.n_told++ % COURT_UPLOADS]);
        if (court.has_merged) {
            court.has_merged = false;
            happens(court.merged);
        }
    } while (done != court.n_heard + court.n_told && !court.broken);
}

// A letter of the beginning: JOIN, or that the plan is accepted.
static void introduce(uint32_t id, enum message_kind kind)
{
    static struct message letter;
    uint8_t body[512];
    struct incoming message = {.kind = (uint16_t)kind, .sender = id, .body = body};

    memcpy(message.run, run_id, MESSAGE_RUN_BYTES);
    memset(&letter, 0, sizeof letter);
    letter.kind = kind;
    if (kind == MESSAGE_JOIN) {
        letter.join.session[0] = (uint8_t)id;
        letter.join.suites = 0xf;
    } else {
        letter.plan_answer.accepted = true;
        letter.plan_answer.minimum_cohort = cheat.terms.cohort;
    }
    if (message_encode(&letter, body, sizeof body, &message.body_len) != CHOIR_OK)
        abort();
    cheat_keep(&message);
}

static void start_run(void)
{
    struct gather_run *run = &court.run;

    memcpy(run->run, run_id, MESSAGE_RUN_BYTES);
    run->plan = (const uint8_t *)"{}";
    run->plan_len = 2;
    run->rounds = 1;
    run->n_parameters = CHEAT_PARAMETERS;
    run->update_bytes = CHEAT_VECTOR_BYTES;
    run->lane_bits = 32;
    run->suite = cheat.terms.suite;
    run->min_sites = 2;
    run->deadline_ms = COURT_DEADLINE_MS;
    run->n_sites = cheat.terms.n;
    for (uint32_t i = 0; i < cheat.terms.n; i++)
        run->site[i] = (struct gather_site){.id = i + 1, .nominal_size = 100};
    happens((struct gather_event){.kind = GATHER_START, .run = run});
}

void court_begin(const struct cheat_terms *terms)
{
    struct gather_settings settings = {.collusion = terms->collusion,
                                       .graph = {.collusion = terms->collusion},
                                       .resend_ms = 400,
                                       .heartbeat_ms = 1000000,
                                       .open = cheat_open_signed};

    cheat_begin(terms);
    memset(&court, 0, sizeof court);
    court.n_heard = cheat.n_spoken;
    settings.roster = cheat_sites(terms->n);
    memcpy(settings.roster_hash, roster_hash, HASH_BYTES);
    settings.boot[0] = 1;
    if (gather_new(&settings, &court.gather) != CHOIR_OK)
        abort();
    for (uint32_t id = 1; id <= terms->n; id++)
        introduce(id, MESSAGE_JOIN);
    letters_arrive();
    start_run();
}

void court_end(void)
{
    gather_free(court.gather);
    cheat_end();
    memset(&court, 0, sizeof court);
}

void court_play(void)
{
    uint64_t end = cheat.now_ms + 60000;

    for (uint32_t id = cheat.terms.n_honest + 1; id <= cheat.terms.n; id++)
        introduce(id, MESSAGE_PLAN_ANSWER); // an honest site has written its own
    while (!court.closed && !court.lost && !court.broken && cheat.now_ms < end) {
        settle();
        cheat.now_ms += 100;
        happens((struct gather_event){.kind = GATHER_TICK});
        for (uint32_t id = 1; id <= cheat.terms.n_honest; id++)
            cheat_happens(&cheat.house[id], &(struct site_event){.kind = SITE_TICK});
    }
}

bool court_sum_is_exact(void)
{
    struct site_set honest = {.n = 0};
    struct lanes truth;

    for (size_t i = 0; i < court.u.n; i++)
        if (cheat_is_honest(court.u.id[i]))
            honest.id[honest.n++] = court.u.id[i];
    truth = cheat_truth(&court.view, &honest);
    return court.n_merged == 1 && cheat_same(&court.sum, &truth);
}

bool court_named(uint32_t site, enum message_code code)
{
    for (size_t i = 0; i < court.n_reports && i < COURT_REPORTS; i++)
        if (court.report[i].site == site && court.report[i].code == code)
            return true;
    return false;
}
