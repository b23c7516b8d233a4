/* choir-compare - the demo's own evaluator: trains each site alone and all pooled, and sets the
 * federation's model beside them. It reads every site's files, which only a demo can do.
 */
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hex.h"
#include "crypto/rng.h"
#include "examples/baseline.h"
#include "examples/study.h"
#include "examples/summary.h"
#include "train/blas.h"
#include "train/evaluate.h"
#include "train/safetensors.h"

enum { EXIT_BAD = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: choir-compare --example DIR --model FILE --run FILE [--plan FILE] [--data DIR]\n"
    "                     [--out FILE] [--quiet]\n"
    "\n"
    "  --example DIR  the example's folder (sites.json, plan, row lists)\n"
    "  --model FILE   the federation's model, safetensors\n"
    "  --run FILE     run.json: what the run took and each site's epsilon (examples/README.md)\n"
    "  --plan FILE    the plan that was run; default: the one sites.json names\n"
    "  --data DIR     where the data files lie; default: the example's folder\n"
    "  --out FILE     writes summary.json there\n"
    "  --quiet        prints no table\n";

struct options {
    const char *example, *model, *run, *plan, *data, *out;
    bool quiet;
};

static bool read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"example", required_argument, NULL, 'e'}, {"model", required_argument, NULL, 'm'},
        {"run", required_argument, NULL, 'r'},     {"plan", required_argument, NULL, 'p'},
        {"data", required_argument, NULL, 'd'},    {"out", required_argument, NULL, 'o'},
        {"quiet", no_argument, NULL, 'q'},         {0},
    };
    int code = 0;

    while ((code = getopt_long(argc, argv, "", table, NULL)) != -1) { // NOLINT(concurrency-*)
        switch (code) {
        case 'e':
            options->example = optarg;
            break;
        case 'm':
            options->model = optarg;
            break;
        case 'r':
            options->run = optarg;
            break;
        case 'p':
            options->plan = optarg;
            break;
        case 'd':
            options->data = optarg;
            break;
        case 'o':
            options->out = optarg;
            break;
        case 'q':
            options->quiet = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc && options->example != NULL && options->model != NULL &&
           options->run != NULL;
}

/* The model must be the one that this very plan made, where it says which plan it was. */
static enum choir_err check_model_plan(const uint8_t *bytes, size_t len, const struct plan *plan,
                                       const char *path, struct choir_diag *diag)
{
    char said[2 * HASH_BYTES + 1];
    char ours[2 * HASH_BYTES + 1];
    const enum choir_err err = safetensors_note(bytes, len, "plan_hash", said, sizeof said);

    if (err != CHOIR_OK)
        return CHOIR_OK;
    hex_put(ours, plan->hash, HASH_BYTES);
    if (strcmp(said, ours) != 0)
        return diag_set(diag, CHOIR_ERR_FORGED, path, "was made by another plan than %s", ours);
    return CHOIR_OK;
}

static enum choir_err read_model(const char *path, const struct plan *plan, float *params,
                                 struct choir_diag *diag)
{
    const size_t max = SAFETENSORS_MAX_HEADER + 8 + plan->n_params * sizeof *params;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err = file_read(path, max, &bytes, &len);

    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "%s", choir_err_text(err));
    err = safetensors_decode(bytes, len, &plan->model, params);
    if (err != CHOIR_OK)
        (void)diag_set(diag, err, path, "is no safetensors file with this plan's layers");
    if (err == CHOIR_OK)
        err = check_model_plan(bytes, len, plan, path, diag);
    free(bytes);
    return err;
}

/* Fills what the models reach; params is room for one model. */
static enum choir_err evaluate_all(const struct study *study, const float *federated, float *params,
                                   struct summary *summary)
{
    const struct model_spec *model = &study->plan->model;
    struct evaluation reached = {0};
    enum choir_err err = CHOIR_OK;

    for (size_t i = 0; err == CHOIR_OK && i < study->plan->n_sites; i++) {
        const struct study_site *site = &study->sites[i];

        summary->sites[i].n_test = site->test->n;
        err = baseline_train(study->plan, site->train, params);
        if (err == CHOIR_OK)
            err = evaluate_model(model, params, site->test, &reached);
        summary->sites[i].auc_local = reached.auc;
        if (err == CHOIR_OK)
            err = evaluate_model(model, federated, site->test, &reached);
        summary->sites[i].auc_federated = reached.auc;
    }
    if (err == CHOIR_OK)
        err = evaluate_model(model, federated, study->test, &reached);
    summary->auc_federated = reached.auc;
    summary->accuracy_federated = reached.accuracy;
    if (err == CHOIR_OK)
        err = baseline_train(study->plan, study->train, params);
    if (err == CHOIR_OK)
        err = evaluate_model(model, params, study->test, &reached);
    summary->auc_pooled = reached.auc;
    summary->accuracy_pooled = reached.accuracy;
    return err;
}

static enum choir_err write_summary(const struct summary *summary, const char *path,
                                    struct choir_diag *diag)
{
    char *text = NULL;
    size_t len = 0;
    enum choir_err err = summary_json(summary, &text, &len);

    if (err == CHOIR_OK)
        err = file_replace(AT_FDCWD, path, 0644, text, len);
    if (err != CHOIR_OK)
        (void)diag_set(diag, err, path, "cannot be written: %s", choir_err_text(err));
    free(text);
    return err;
}

static enum choir_err compare(const struct options *options, struct choir_diag *diag)
{
    struct summary summary = {0};
    struct study *study = NULL;
    float *params = NULL; // the federation's, then room for one more
    enum choir_err err = study_open(options->example, options->plan, options->data, &study, diag);

    if (err != CHOIR_OK)
        goto out;
    err = CHOIR_ERR_MEMORY;
    summary.plan = study->plan;
    summary.n_test = study->test->n;
    summary.sites = calloc(study->plan->n_sites, sizeof *summary.sites);
    params = calloc(study->plan->n_params, 2 * sizeof *params);
    if (summary.sites == NULL || params == NULL)
        goto out;
    for (size_t i = 0; i < study->plan->n_sites; i++)
        summary.sites[i].name = study->plan->sites[i].name;
    err = summary_read_run(&summary, options->run, diag);
    if (err == CHOIR_OK)
        err = read_model(options->model, study->plan, params, diag);
    if (err == CHOIR_OK)
        err = evaluate_all(study, params, params + study->plan->n_params, &summary);
    if (err == CHOIR_OK && options->out != NULL)
        err = write_summary(&summary, options->out, diag);
    if (err == CHOIR_OK && !options->quiet)
        summary_print(&summary, stdout);
out:
    free(params);
    free(summary.sites);
    study_free(study);
    return err;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct choir_diag diag = {0};
    enum choir_err err = CHOIR_OK;

    if (!read_options(argc, argv, &options)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    blas_start();
    err = rng_start();
    if (err == CHOIR_OK)
        err = compare(&options, &diag);
    if (err == CHOIR_OK)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "choir-compare: %s%s%s\n", diag.place, diag.place[0] != '\0' ? ": " : "",
                  diag.message[0] != '\0' ? diag.message : choir_err_text(err));
    return EXIT_BAD;
}
