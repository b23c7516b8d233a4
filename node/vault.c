#include "node/vault.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/pages.h"
#include "node/channel.h"
#include "node/page.h"
#include "node/release.h"
#include "node/spend.h"
#include "ops/log.h"
#include "privacy/mechanism.h"
#include "train/dataset.h"
#include "wire/planseal.h"

/* The plan that was accepted last, for the run it was accepted for. */
struct study {
    struct plan *plan; // NULL: none
    size_t site;
    struct dataset *data;
    struct entry_spend spend; // of its run
    uint8_t run[MESSAGE_RUN_BYTES];
};

struct vault {
    struct vault_parts parts;
    struct study study;
    uint8_t complained[HASH_BYTES];    // the refused plan that was logged last
    enum message_code complained_code; //
};

enum choir_err vault_new(const struct vault_parts *parts, struct vault **out)
{
    struct vault *vault = calloc(1, sizeof *vault);

    if (vault == NULL)
        return CHOIR_ERR_MEMORY;
    vault->parts = *parts;
    *out = vault;
    return CHOIR_OK;
}

static void forget_study(struct study *study)
{
    dataset_free(study->data);
    plan_free(study->plan);
    *study = (struct study){0};
}

void vault_free(struct vault *vault)
{
    if (vault == NULL)
        return;
    forget_study(&vault->study);
    free(vault);
}

// What happens to a request when something failed that is not a matter of rules.
static enum choir_err broken(struct hatch_answer *answer, enum choir_err err, const char *what)
{
    LOG_EVENT(LOG_ERROR, "vault_failed", log_text("at", what), log_err(err));
    hatch_refuse(answer, MESSAGE_CODE_INTERNAL, "this site failed and is being restarted");
    return err == CHOIR_ERR_MEMORY ? CHOIR_OK : CHOIR_ERR_IO;
}

// Logs a refused plan once, not at each time it is offered again.
static void complain(struct vault *vault, const struct hatch_request *request,
                     const struct hatch_answer *answer, const char *place, const char *message)
{
    enum message_code code = (enum message_code)answer->code;

    if (vault->complained_code == code && memcmp(vault->complained, request->hash, HASH_BYTES) == 0)
        return;
    vault->complained_code = code;
    memcpy(vault->complained, request->hash, HASH_BYTES);
    LOG_EVENT(LOG_WARNING, "plan_refused", log_hex("plan", request->hash, HASH_BYTES),
              log_text("code", message_code_text(code)), log_text("place", place),
              log_text("message", message));
}

static void refuse_plan(struct vault *vault, const struct hatch_request *request,
                        struct hatch_answer *answer, enum message_code code,
                        const struct choir_diag *diag)
{
    hatch_refuse(answer, code, "%.80s: %.170s", diag->place, diag->message);
    complain(vault, request, answer, diag->place, diag->message);
}

// The operator of the federation signed it; this site's operator has not approved it yet.
static void ask_for_approval(struct vault *vault, const struct hatch_request *request,
                             const uint8_t *bytes, size_t len, struct hatch_answer *answer)
{
    char hash[2 * HASH_BYTES + 1], advice[512];
    enum choir_err kept =
        home_keep_plan(vault->parts.home, HOME_OFFERED, request->hash, bytes, len);

    hex_put(hash, request->hash, HASH_BYTES);
    if (kept == CHOIR_OK)
        (void)snprintf(advice, sizeof advice,
                       "waiting for you: read the plan and approve it with choir-node approve "
                       "--site FILE %s/offered/%s.json",
                       vault->parts.config->state_dir, hash);
    else
        (void)snprintf(advice, sizeof advice,
                       "waiting for you: get the plan file from the coordinator and approve it "
                       "with choir-node approve --site FILE PLAN");
    hatch_refuse(answer, MESSAGE_CODE_NOT_APPROVED,
                 "the operator of this site has not approved plan %.12s yet", hash);
    complain(vault, request, answer, "approved", advice);
}

// dp-sgd's bounds on a batch hold up to a number of rows that the plan makes public.
static enum choir_err check_rows(const struct study *study, struct choir_diag *diag)
{
    struct mechanism mechanism = plan_mechanism(study->plan, study->site);
    enum choir_err err = mechanism_make(&mechanism);

    if (err == CHOIR_OK && !mechanism_allows_rows(&mechanism, study->data->n))
        err = diag_set(diag, CHOIR_ERR_FORMAT, "plan: sites.nominal_size",
                       "this site has more rows than %zu, the most that a nominal size of %" PRIu64
                       " allows",
                       mechanism.rows_max, study->plan->sites[study->site].nominal_size);
    return err;
}

static enum choir_err read_records(const struct vault_parts *parts, const struct plan *plan,
                                   struct dataset **out, struct choir_diag *diag)
{
    struct dataset_rows rows = {0};
    enum choir_err err = CHOIR_OK;

    if (parts->rows_fd >= 0)
        err = dataset_read_rows(parts->rows_fd, &rows, diag);
    if (err == CHOIR_OK)
        err = dataset_read(parts->data_fd, parts->config->data.path, &plan->schema,
                           parts->rows_fd >= 0 ? &rows : NULL, out, diag);
    dataset_rows_free(&rows);
    return err;
}

// The site's own words about its data stay here: place in the log, nothing to the outside.
static void refuse_data(struct vault *vault, const struct hatch_request *request,
                        struct hatch_answer *answer, const struct choir_diag *diag)
{
    hatch_refuse(answer, MESSAGE_CODE_DATA,
                 "the data of this site does not fit the plan; its operator finds the place in "
                 "the log of the node");
    complain(vault, request, answer, diag->place, diag->message);
}

// Reads the plan and asks the policy and the budget. On CHOIR_ERR_REFUSED diag has the reason.
static enum choir_err judge(struct vault *vault, const struct hatch_request *request,
                            const uint8_t *bytes, size_t len, struct study *study,
                            struct choir_diag *diag)
{
    const struct site_config *config = vault->parts.config;
    struct budget_verdict verdict;
    bool reserved;
    enum choir_err err = plan_read(bytes, len, "plan", &study->plan, diag);

    if (err != CHOIR_OK)
        return err;
    err = plan_find_site(study->plan, config->name, &study->site);
    if (err != CHOIR_OK)
        return diag_set(diag, CHOIR_ERR_REFUSED, "plan: sites", "site %s has no part in it",
                        config->name);
    err = site_policy_allows(&config->policy, study->plan, diag);
    if (err == CHOIR_OK)
        err = plan_check_collusion(study->plan, vault->parts.roster->c, diag);
    if (err != CHOIR_OK)
        return err;
    err = spend_of_plan(study->plan, study->site, request->run, &study->spend);
    if (err == CHOIR_OK)
        err = spend_ask_run(vault->parts.ledger, &study->spend,
                            home_approved_runs(vault->parts.home, request->hash), diag);
    if (err != CHOIR_OK)
        return err;
    return spend_ask(vault->parts.ledger, &config->policy, &study->spend, &reserved, &verdict,
                     diag);
}

static void give_terms(const struct vault *vault, struct hatch_answer *answer)
{
    const struct plan *plan = vault->study.plan;

    answer->terms.rounds = plan->rounds;
    answer->terms.n_parameters = plan->n_params;
    answer->terms.lane_bits = plan->update.lane_bits;
    answer->terms.min_sites = plan->quorum.min_sites;
    answer->terms.cohort =
        cohort_of_plan(plan, &vault->parts.config->policy, vault->parts.roster->c);
}

// Why a plan was refused, as a code that the aggregator can act on.
static enum message_code refusal_of(enum choir_err err, const struct choir_diag *diag)
{
    if (err == CHOIR_ERR_FORMAT)
        return MESSAGE_CODE_FORMAT;
    if (strcmp(diag->place, "approved") == 0)
        return MESSAGE_CODE_NOT_APPROVED;
    return strncmp(diag->place, "policy.budget", strlen("policy.budget")) == 0
               ? MESSAGE_CODE_BUDGET
               : MESSAGE_CODE_POLICY;
}

static enum choir_err accept_plan(struct vault *vault, const struct hatch_request *request,
                                  const uint8_t *bytes, size_t len, struct hatch_answer *answer)
{
    struct study *old = &vault->study, study = {0};
    struct choir_diag diag = {0};
    bool same = old->plan != NULL && memcmp(old->plan->hash, request->hash, HASH_BYTES) == 0;
    enum choir_err err = judge(vault, request, bytes, len, &study, &diag);

    if (err == CHOIR_ERR_FORMAT || err == CHOIR_ERR_REFUSED)
        refuse_plan(vault, request, answer, refusal_of(err, &diag), &diag);
    if (err != CHOIR_OK)
        goto out;
    if (same) { // the records are read already, by the same schema
        study.data = old->data;
        old->data = NULL;
    } else {
        err = read_records(&vault->parts, study.plan, &study.data, &diag);
        if (err == CHOIR_OK)
            err = check_rows(&study, &diag);
        if (err == CHOIR_ERR_FORMAT || err == CHOIR_ERR_IO)
            refuse_data(vault, request, answer, &diag);
    }
    if (err != CHOIR_OK)
        goto out;
    memcpy(study.run, request->run, sizeof study.run);
    forget_study(old);
    *old = study;
    study = (struct study){0};
    vault->complained_code = MESSAGE_CODE_NONE;
    LOG_EVENT(LOG_INFO, "plan_accepted", log_text("name", old->plan->name),
              log_hex("plan", request->hash, HASH_BYTES),
              log_hex("run", request->run, sizeof request->run));
out:
    forget_study(&study);
    return answer->code != MESSAGE_CODE_NONE ? CHOIR_OK : err;
}

static enum choir_err check_plan(struct vault *vault, const struct hatch_request *request,
                                 const uint8_t *bytes, size_t len, struct hatch_answer *answer)
{
    const struct vault_parts *parts = &vault->parts;
    uint8_t hash[HASH_BYTES];
    enum choir_err err;

    hash_bytes(hash, bytes, len);
    if (memcmp(hash, request->hash, HASH_BYTES) != 0 ||
        planseal_check(request->signature, parts->roster, hash) != CHOIR_OK) {
        hatch_refuse(answer, MESSAGE_CODE_POLICY,
                     "the plan is not signed by the operator of the roster");
        complain(vault, request, answer, "plan", answer->text);
        return CHOIR_OK;
    }
    if (!home_has_plan(parts->home, HOME_APPROVED, hash)) {
        ask_for_approval(vault, request, bytes, len, answer);
        return CHOIR_OK;
    }
    err = accept_plan(vault, request, bytes, len, answer);
    if (err != CHOIR_OK || answer->code != MESSAGE_CODE_NONE)
        return err;
    give_terms(vault, answer);
    return home_read_mark(parts->home, request->run, &answer->terms.mark);
}

static enum choir_err on_plan(struct vault *vault, const struct hatch_request *request, int file,
                              struct hatch_answer *answer)
{
    uint8_t *bytes = NULL;
    size_t len;
    enum choir_err err = file_read_fd(file, PLAN_MAX_BYTES, &bytes, &len);

    memcpy(answer->hash, request->hash, HASH_BYTES);
    if (err == CHOIR_ERR_FORMAT) {
        hatch_refuse(answer, MESSAGE_CODE_FORMAT, "the plan is longer than %d bytes",
                     PLAN_MAX_BYTES);
        return CHOIR_OK;
    }
    if (err != CHOIR_OK)
        return broken(answer, err, "reading the plan");
    err = check_plan(vault, request, bytes, len, answer);
    free(bytes);
    return err == CHOIR_OK ? CHOIR_OK : broken(answer, err, "checking the plan");
}

static bool in_study(const struct vault *vault, const struct hatch_request *request,
                     struct hatch_answer *answer)
{
    const struct study *study = &vault->study;

    if (study->plan != NULL && memcmp(study->run, request->run, MESSAGE_RUN_BYTES) == 0 &&
        request->round <= study->plan->rounds)
        return true;
    hatch_refuse(answer, MESSAGE_CODE_NOT_APPROVED, "no accepted plan covers this run and round");
    return false;
}

static bool is_above(const struct mark *stored, const struct mark *mark)
{
    return mark->round > stored->round ||
           (mark->round == stored->round && mark->attempt > stored->attempt && !stored->revealed);
}

static bool is_same_attempt(const struct mark *stored, const struct mark *mark)
{
    return mark->round == stored->round && mark->attempt == stored->attempt &&
           memcmp(mark->r0, stored->r0, HASH_BYTES) == 0;
}

// Sets the whole run aside; if it cannot be, `answer` says why. So every marked run is a paid one.
static enum choir_err set_aside(struct vault *vault, struct hatch_answer *answer)
{
    const struct study *study = &vault->study;
    struct ledger *ledger = vault->parts.ledger;
    struct choir_diag diag = {0};
    enum choir_err err = spend_ask_run(
        ledger, &study->spend, home_approved_runs(vault->parts.home, study->plan->hash), &diag);

    if (err == CHOIR_OK)
        err = spend_reserve(ledger, &vault->parts.config->policy, &study->spend, &diag);
    if (err != CHOIR_ERR_REFUSED)
        return err;
    hatch_refuse(answer, refusal_of(err, &diag), "%.80s: %.170s", diag.place, diag.message);
    LOG_EVENT(LOG_WARNING, "run_refused", log_text("place", diag.place),
              log_text("message", diag.message));
    return CHOIR_OK;
}

// The file first: it is what a restarted courier is told, and must never be behind.
static enum choir_err store_mark(struct vault *vault, const struct mark *mark)
{
    struct ledger *ledger = vault->parts.ledger;
    enum choir_err err = home_write_mark(vault->parts.home, mark);

    if (err != CHOIR_OK)
        return err;
    return mark->revealed
               ? ledger_mark_unmask(ledger, mark->run, mark->round)
               : ledger_mark_attempt(ledger, mark->run, mark->round, mark->attempt, mark->r0);
}

static enum choir_err on_mark(struct vault *vault, const struct hatch_request *request,
                              struct hatch_answer *answer)
{
    const struct mark *mark = &request->mark;
    struct mark stored;
    enum choir_err err;

    if (!in_study(vault, request, answer))
        return CHOIR_OK;
    if (mark->minimum < vault->parts.config->policy.minimum_cohort) {
        hatch_refuse(answer, MESSAGE_CODE_QUORUM,
                     "the round sums at least %u sites, this site asks for %u", mark->minimum,
                     vault->parts.config->policy.minimum_cohort);
        return CHOIR_OK;
    }
    err = set_aside(vault, answer);
    if (err == CHOIR_OK && answer->code == MESSAGE_CODE_NONE)
        err = home_read_mark(vault->parts.home, request->run, &stored);
    if (err != CHOIR_OK || answer->code != MESSAGE_CODE_NONE)
        return err == CHOIR_OK ? CHOIR_OK : broken(answer, err, "reading the mark");
    if (mark->revealed ? !is_same_attempt(&stored, mark) : !is_above(&stored, mark))
        err = CHOIR_ERR_REFUSED;
    else if (!mark->revealed || !stored.revealed)
        err = store_mark(vault, mark);
    if (err == CHOIR_ERR_REFUSED) {
        hatch_refuse(answer, MESSAGE_CODE_STALE, "an equal or later attempt is marked already");
        return CHOIR_OK;
    }
    return err == CHOIR_OK ? CHOIR_OK : broken(answer, err, "storing the mark");
}

static void log_charged(struct vault *vault, const struct hatch_request *request,
                        const uint8_t digest[static HASH_BYTES])
{
    double epsilon = INFINITY;
    enum choir_err err =
        spend_so_far(vault->parts.ledger, &vault->parts.config->policy, false, &epsilon);

    if (err != CHOIR_OK)
        epsilon = INFINITY;
    LOG_EVENT(LOG_INFO, "round_charged", log_hex("run", request->run, sizeof request->run),
              log_whole("round", request->round), log_hex("digest", digest, HASH_BYTES),
              log_real("epsilon", epsilon));
}

static enum choir_err make_update(struct vault *vault, const struct hatch_request *request,
                                  const float *global, struct hatch_answer *answer, int *fd)
{
    struct release release = {
        .plan = vault->study.plan,
        .site = vault->study.site,
        .data = vault->study.data,
        .ledger = vault->parts.ledger,
        .run = request->run,
        .round = request->round,
    };
    struct choir_diag diag = {0};
    enum choir_err err = set_aside(vault, answer); // as its mark did: nothing happens twice

    if (err != CHOIR_OK || answer->code != MESSAGE_CODE_NONE)
        return err;
    err = release_make(&release, global, fd, answer->update.digest, &diag);
    if (err == CHOIR_ERR_FORMAT) {
        hatch_refuse(answer, MESSAGE_CODE_DATA, "training did not stay finite at this site");
        LOG_EVENT(LOG_WARNING, "training_diverged", log_whole("round", request->round),
                  log_text("message", diag.message));
        return CHOIR_OK;
    }
    if (err == CHOIR_OK)
        log_charged(vault, request, answer->update.digest);
    return err;
}

static enum choir_err train_on(struct vault *vault, const struct hatch_request *request, int file,
                               struct hatch_answer *answer, int *fd)
{
    const struct plan *plan = vault->study.plan;
    float *global = pages_calloc((size_t)plan->n_params, sizeof *global);
    enum choir_err err;

    if (global == NULL)
        return CHOIR_ERR_MEMORY;
    err = release_model(plan, file, request->hash, request->round, global);
    if (err == CHOIR_ERR_FORMAT) {
        hatch_refuse(answer, MESSAGE_CODE_FORMAT, "the model is not the one of this round");
        err = CHOIR_OK;
    } else if (err == CHOIR_OK) {
        err = make_update(vault, request, global, answer, fd);
    }
    free(global);
    return err;
}

// May this round be trained or given out? It must be the marked one, of a plan that is approved
// still: the operator takes an approval back by removing its file.
static bool may_train(struct vault *vault, const struct hatch_request *request,
                      const struct mark *stored, struct hatch_answer *answer)
{
    if (stored->round != request->round ||
        memcmp(vault->study.plan->hash, request->hash2, HASH_BYTES) != 0)
        hatch_refuse(answer, MESSAGE_CODE_STALE, "the round is not the one that is marked");
    else if (!home_has_plan(vault->parts.home, HOME_APPROVED, request->hash2))
        hatch_refuse(answer, MESSAGE_CODE_NOT_APPROVED,
                     "the operator of this site took the approval back");
    return answer->code == MESSAGE_CODE_NONE;
}

// What is masked first is not hashed here: the root that the site commits to is that of the masked
// chunks, and the digest in the charge was taken of the bytes as they were made durable.
static enum choir_err describe(const struct plan *plan, int file, struct hatch_answer *answer)
{
    answer->terms.cohort.suite = plan_suite(plan);
    return answer->terms.cohort.suite == 0
               ? release_root(file, answer->update.root, &answer->update.bytes)
               : release_length(file, &answer->update.bytes);
}

static enum choir_err on_train(struct vault *vault, const struct hatch_request *request, int file,
                               struct hatch_answer *answer, int *carried)
{
    struct mark stored;
    enum choir_err err;

    if (!in_study(vault, request, answer))
        return CHOIR_OK;
    err = home_read_mark(vault->parts.home, request->run, &stored);
    if (err != CHOIR_OK)
        return broken(answer, err, "reading the mark");
    if (!may_train(vault, request, &stored, answer))
        return CHOIR_OK;
    err = ledger_find_charge(vault->parts.ledger, request->run, request->round, carried,
                             answer->update.digest);
    if (err == CHOIR_ERR_MISSING)
        err = train_on(vault, request, file, answer, carried);
    else if (err == CHOIR_ERR_REFUSED) {
        hatch_refuse(answer, MESSAGE_CODE_STALE, "the bytes of this round are erased");
        err = CHOIR_OK;
    }
    if (err == CHOIR_OK && *carried >= 0)
        err = describe(vault->study.plan, *carried, answer);
    return err == CHOIR_OK ? CHOIR_OK : broken(answer, err, "making the update");
}

static enum choir_err on_consent(struct vault *vault, const struct hatch_request *request,
                                 struct hatch_answer *answer)
{
    enum choir_err err;

    memcpy(answer->hash, request->hash, HASH_BYTES);
    if (!in_study(vault, request, answer))
        return CHOIR_OK;
    err = ledger_mark_consent(vault->parts.ledger, request->hash, request->hash2);
    if (err == CHOIR_ERR_REFUSED) {
        hatch_refuse(answer, MESSAGE_CODE_SECOND_CONSENT,
                     "another set of survivors was consented to");
        return CHOIR_OK;
    }
    return err == CHOIR_OK ? CHOIR_OK : broken(answer, err, "storing the consent");
}

static enum choir_err on_erase(struct vault *vault, const struct hatch_request *request,
                               struct hatch_answer *answer)
{
    uint64_t last = request->round < PLAN_MAX_ROUNDS ? request->round : PLAN_MAX_ROUNDS;
    enum choir_err err = ledger_round_closed(vault->parts.ledger, request->run, last, 0);

    return err == CHOIR_OK ? CHOIR_OK : broken(answer, err, "erasing old updates");
}

static enum choir_err on_budget(struct vault *vault, const struct hatch_request *request,
                                struct hatch_answer *answer, int *carried)
{
    char *text = NULL;
    enum choir_err err =
        page_budget(vault->parts.ledger, vault->parts.config, &vault->parts.roster->c,
                    vault->parts.home, request->hash[0] != 0, &text);

    if (err == CHOIR_OK)
        err = channel_file(text, strlen(text), carried);
    free(text);
    if (err != CHOIR_OK)
        hatch_refuse(answer, MESSAGE_CODE_INTERNAL, "the budget cannot be computed: %s",
                     choir_err_text(err));
    return CHOIR_OK;
}

static enum choir_err on_export(struct vault *vault, struct hatch_answer *answer)
{
    enum choir_err err =
        ledger_export(vault->parts.ledger, vault->parts.home->fd[HOME_EXPORT], VAULT_EXPORT_NAME);

    if (err != CHOIR_OK)
        hatch_refuse(answer, MESSAGE_CODE_INTERNAL, "the ledger cannot be exported: %s",
                     choir_err_text(err));
    return CHOIR_OK;
}

static enum choir_err dispatch(struct vault *vault, const struct hatch_request *request, int file,
                               struct hatch_answer *answer, int *carried)
{
    switch ((enum hatch_kind)request->kind) {
    case HATCH_PLAN:
        return on_plan(vault, request, file, answer);
    case HATCH_MARK:
        return on_mark(vault, request, answer);
    case HATCH_TRAIN:
        return on_train(vault, request, file, answer, carried);
    case HATCH_CONSENT:
        return on_consent(vault, request, answer);
    case HATCH_ERASE:
        return on_erase(vault, request, answer);
    case HATCH_BUDGET:
        return on_budget(vault, request, answer, carried);
    case HATCH_EXPORT:
        return on_export(vault, answer);
    case HATCH_HELLO:
    case HATCH_KINDS:
    default:
        return CHOIR_OK; // what they ask for stands in every answer
    }
}

enum choir_err vault_answer(struct vault *vault, enum hatch_side side,
                            const struct hatch_request *request, int file,
                            struct hatch_answer *answer, int *carried)
{
    enum choir_err err = CHOIR_OK;
    struct head head;

    *answer = hatch_answer_to(request);
    *carried = -1;
    if (hatch_check(request, side, file >= 0))
        err = dispatch(vault, request, file, answer, carried);
    else
        hatch_refuse(answer, MESSAGE_CODE_FORMAT, "the request is malformed");
    ledger_head(vault->parts.ledger, &head);
    answer->head.size = head.size;
    memcpy(answer->head.root, head.root, HASH_BYTES);
    answer->minimum_cohort = vault->parts.config->policy.minimum_cohort;
    (void)snprintf(answer->data_id, sizeof answer->data_id, "%s",
                   ledger_data_id(vault->parts.ledger));
    return err;
}
