#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "privacy/mechanism.h"
#include "train/kernel.h"
#include "train/logit.h"
#include "train/pass.h"

enum {
    PASS_ROWS = 256, // records that go through the layers together
    ROW_STEP = 64,
};

struct trainer {
    struct model_spec model;
    struct training training;
    struct mechanism mechanism;
    const struct dataset *dataset;
    struct optimizer optimizer;
    struct logit *logit; // for a single layer of a single unit, else NULL
    struct pass *pass;   // for every other model
    size_t pass_rows, n_params;
    uint32_t *chosen; // [n]: the sample of this step
    double *sum;      // [n_params]
    float *grad;      // [n_params]
    double norms[PASS_ROWS];
    float labels[PASS_ROWS];
};

static bool in_unit(double value)
{
    return value >= 0.0 && value < 1.0;
}

static bool above_zero(double value)
{
    return isfinite(value) && value > 0.0;
}

static enum choir_err check_optimizer(const struct optimizer_spec *spec, struct choir_diag *diag)
{
    if (!above_zero(spec->learning_rate))
        return diag_set(diag, CHOIR_ERR_FORMAT, "training.optimizer.learning_rate",
                        "must be above 0");
    if (spec->kind == OPTIMIZER_MOMENTUM && !in_unit(spec->momentum))
        return diag_set(diag, CHOIR_ERR_FORMAT, "training.optimizer.momentum",
                        "must be at least 0 and below 1");
    if (spec->kind == OPTIMIZER_ADAM &&
        (!in_unit(spec->beta1) || !in_unit(spec->beta2) || !above_zero(spec->epsilon)))
        return diag_set(diag, CHOIR_ERR_FORMAT, "training.optimizer",
                        "beta1 and beta2 must be at least 0 and below 1, epsilon above 0");
    return CHOIR_OK;
}

static enum choir_err check_training(const struct training *training, struct choir_diag *diag)
{
    if (training->local_steps < 1 || training->local_steps > TRAINER_MAX_STEPS)
        return diag_set(diag, CHOIR_ERR_FORMAT, "training.local_steps", "must be 1 to %d",
                        TRAINER_MAX_STEPS);
    if (!isfinite(training->l2) || training->l2 < 0.0)
        return diag_set(diag, CHOIR_ERR_FORMAT, "training.l2", "must not be negative");
    if (!isfinite(training->proximal_mu) || training->proximal_mu < 0.0)
        return diag_set(diag, CHOIR_ERR_FORMAT, "training.proximal_mu", "must not be negative");
    if (!(training->sampling_rate > 0.0 && training->sampling_rate <= 1.0))
        return diag_set(diag, CHOIR_ERR_FORMAT, "privacy.sampling_rate",
                        "must be above 0 and at most 1");
    if (!isfinite(training->nominal_size) || training->nominal_size < 1.0)
        return diag_set(diag, CHOIR_ERR_FORMAT, "sites.nominal_size", "must be at least 1");
    if (training->dp && !above_zero(training->clip_norm))
        return diag_set(diag, CHOIR_ERR_FORMAT, "privacy.clip_norm", "must be above 0");
    if (training->dp && !above_zero(training->noise_multiplier))
        return diag_set(diag, CHOIR_ERR_FORMAT, "privacy.noise_multiplier", "must be above 0");
    return check_optimizer(&training->optimizer, diag);
}

static enum choir_err check_data(const struct model_spec *model, const struct dataset *dataset,
                                 struct choir_diag *diag)
{
    float classes =
        model->loss == MODEL_SOFTMAX ? (float)model->layers[model->n_layers - 1].units : 2.0F;

    if (dataset->n < 1 || dataset->n > DATASET_MAX_ROWS)
        return diag_set(diag, CHOIR_ERR_FORMAT, "data", "must have 1 to %d records",
                        DATASET_MAX_ROWS);
    if (dataset->d != model->n_inputs)
        return diag_set(diag, CHOIR_ERR_FORMAT, "data", "has %zu features, but the model takes %u",
                        dataset->d, model->n_inputs);
    for (size_t i = 0; i < dataset->n; i++)
        if (!(dataset->y[i] >= 0.0F && dataset->y[i] < classes))
            return diag_set(diag, CHOIR_ERR_FORMAT, "data", "has a label out of range");
    return CHOIR_OK;
}

static struct mechanism mechanism_of(const struct training *training, size_t n_params)
{
    return (struct mechanism){
        .kind = training->dp ? MECHANISM_DP_SGD : MECHANISM_NONE,
        .sampling_rate = training->sampling_rate,
        .local_steps = training->local_steps,
        .n_params = n_params,
        .nominal_size = training->nominal_size,
        .clip_norm = training->dp ? training->clip_norm : 0.0,
        .noise_multiplier = training->dp ? training->noise_multiplier : 0.0,
    };
}

// Passes no larger than the batch is expected to be, in steps of ROW_STEP.
static size_t choose_pass_rows(double expected)
{
    double steps = ceil(expected * 1.1 / ROW_STEP);

    return steps * ROW_STEP < PASS_ROWS ? (size_t)steps * ROW_STEP : PASS_ROWS;
}

static enum choir_err take_memory(struct trainer *trainer)
{
    enum choir_err err;

    trainer->chosen = calloc(trainer->dataset->n, sizeof *trainer->chosen);
    trainer->sum = pages_calloc(trainer->n_params, sizeof *trainer->sum);
    trainer->grad = pages_calloc(trainer->n_params, sizeof *trainer->grad);
    if (trainer->chosen == NULL || trainer->sum == NULL || trainer->grad == NULL)
        return CHOIR_ERR_MEMORY;
    err = optimizer_init(&trainer->optimizer, &trainer->training.optimizer, trainer->n_params);
    if (err != CHOIR_OK)
        return err;
    if (trainer->model.loss == MODEL_LOGISTIC && trainer->model.n_layers == 1)
        return logit_new(trainer->dataset, &trainer->mechanism, &trainer->logit);
    return pass_new(&trainer->model, trainer->pass_rows, trainer->training.dp, &trainer->pass);
}

enum choir_err trainer_new(const struct model_spec *model, const struct dataset *dataset,
                           const struct training *training, struct trainer **out,
                           struct choir_diag *diag)
{
    struct trainer *trainer;
    enum choir_err err = model_check(model, diag);

    if (err == CHOIR_OK)
        err = check_training(training, diag);
    if (err == CHOIR_OK)
        err = check_data(model, dataset, diag);
    if (err != CHOIR_OK)
        return err;
    trainer = calloc(1, sizeof *trainer);
    if (trainer == NULL)
        return CHOIR_ERR_MEMORY;
    trainer->model = *model;
    trainer->training = *training;
    trainer->dataset = dataset;
    trainer->n_params = model_n_params(model);
    trainer->mechanism = mechanism_of(training, trainer->n_params);
    trainer->pass_rows = choose_pass_rows(training->sampling_rate * (double)dataset->n);
    err = mechanism_make(&trainer->mechanism);
    if (err != CHOIR_OK)
        err = diag_set(diag, err, "privacy", "a parameter of the mechanism is out of range");
    else if (!mechanism_allows_rows(&trainer->mechanism, dataset->n))
        err = diag_set(diag, CHOIR_ERR_FORMAT, "data",
                       "has %zu records, too many for the nominal size %.0f that the plan states; "
                       "at most %zu are allowed",
                       dataset->n, training->nominal_size, trainer->mechanism.rows_max);
    else
        err = take_memory(trainer);
    if (err != CHOIR_OK) {
        trainer_free(trainer);
        return err;
    }
    *out = trainer;
    return CHOIR_OK;
}

void trainer_free(struct trainer *trainer)
{
    if (trainer == NULL)
        return;
    if (trainer->sum != NULL)
        rng_wipe(trainer->sum, trainer->n_params * sizeof *trainer->sum);
    if (trainer->grad != NULL)
        rng_wipe(trainer->grad, trainer->n_params * sizeof *trainer->grad);
    if (trainer->chosen != NULL)
        rng_wipe(trainer->chosen, trainer->dataset->n * sizeof *trainer->chosen);
    optimizer_release(&trainer->optimizer);
    logit_free(trainer->logit);
    pass_free(trainer->pass);
    free(trainer->chosen);
    free(trainer->sum);
    free(trainer->grad);
    rng_wipe(trainer, sizeof *trainer);
    free(trainer);
}

// Sums over the steps of one round; `wanted` is false where nobody reads them.
struct tally {
    bool wanted;
    uint64_t n_drawn, n_clipped;
    double loss;
};

// The clipped gradients of n <= pass_rows records, added to the sum.
static void add_pass(struct trainer *trainer, const float *params, const uint32_t *chosen, size_t n,
                     struct tally *tally)
{
    const struct dataset *dataset = trainer->dataset;
    size_t n_logits = trainer->model.layers[trainer->model.n_layers - 1].units;
    const float *logits;

    for (size_t i = 0; i < n; i++) {
        memcpy(pass_input(trainer->pass, i), dataset->x + chosen[i] * dataset->d,
               dataset->d * sizeof(float));
        trainer->labels[i] = dataset->y[chosen[i]];
    }
    logits = pass_forward(trainer->pass, params, n);
    for (size_t i = 0; tally->wanted && i < n; i++)
        tally->loss += pass_loss(&trainer->model, logits + i * n_logits, trainer->labels[i]);
    pass_backward(trainer->pass, params, trainer->labels, n);
    pass_norms(trainer->pass, n, trainer->norms);
    for (size_t i = 0; i < n; i++) {
        double factor = mechanism_clip_factor(&trainer->mechanism, trainer->norms[i]);

        if (factor < 1.0) {
            pass_scale(trainer->pass, i, (float)factor);
            tally->n_clipped++;
        }
    }
    pass_add_gradients(trainer->pass, n, chosen == trainer->chosen, trainer->sum);
}

static void add_losses(const struct trainer *trainer, const float *params, size_t n_chosen,
                       struct tally *tally)
{
    const struct dataset *dataset = trainer->dataset;

    for (size_t i = 0; i < n_chosen; i++) {
        const float *record = dataset->x + trainer->chosen[i] * dataset->d;
        float logit = kernel_dot(record, params, dataset->d) + params[dataset->d];

        tally->loss += pass_loss(&trainer->model, &logit, dataset->y[trainer->chosen[i]]);
    }
}

static void add_sample(struct trainer *trainer, const float *params, size_t n_chosen,
                       struct tally *tally)
{
    tally->n_drawn += n_chosen;
    if (trainer->logit != NULL || n_chosen == 0)
        memset(trainer->sum, 0, trainer->n_params * sizeof *trainer->sum);
    if (trainer->logit != NULL) {
        if (tally->wanted)
            add_losses(trainer, params, n_chosen, tally);
        tally->n_clipped +=
            logit_add_gradients(trainer->logit, params, trainer->chosen, n_chosen, trainer->sum);
        return;
    }
    for (size_t begin = 0; begin < n_chosen; begin += trainer->pass_rows) {
        size_t left = n_chosen - begin;

        add_pass(trainer, params, trainer->chosen + begin,
                 left < trainer->pass_rows ? left : trainer->pass_rows, tally);
    }
}

// What touches no record: the pull of l2 towards zero and of proximal_mu towards `global`.
static void add_pulls(struct trainer *trainer, const float *params, const float *global)
{
    float l2 = (float)trainer->training.l2, mu = (float)trainer->training.proximal_mu;

    for (size_t l = 0; l2 > 0.0F && l < trainer->model.n_layers; l++) {
        struct model_view view = model_layer_view(&trainer->model, l);

        kernel_add_scaled(trainer->grad + view.weight, params + view.weight, l2,
                          view.in * view.out);
    }
    if (mu > 0.0F) {
        kernel_add_scaled(trainer->grad, params, mu, trainer->n_params);
        kernel_add_scaled(trainer->grad, global, -mu, trainer->n_params);
    }
}

static void descend(struct trainer *trainer, float *params, const float *global)
{
    const struct training *training = &trainer->training;
    double share = 1.0 / trainer->mechanism.divisor;

    if (training->optimizer.kind == OPTIMIZER_SGD && !(training->l2 > 0.0) &&
        !(training->proximal_mu > 0.0)) {
        kernel_add_narrowed(params, trainer->sum, -training->optimizer.learning_rate * share,
                            trainer->n_params);
        return;
    }
    kernel_narrow(trainer->grad, trainer->sum, share, trainer->n_params);
    add_pulls(trainer, params, global);
    optimizer_step(&trainer->optimizer, params, trainer->grad);
}

static enum choir_err run_step(struct trainer *trainer, const float *global, float *params,
                               struct rng *sample, struct rng *noise, struct tally *tally)
{
    size_t n_chosen =
        mechanism_sample(&trainer->mechanism, sample, trainer->dataset->n, trainer->chosen);
    enum choir_err err = CHOIR_OK;

    add_sample(trainer, params, n_chosen, tally);
    if (trainer->training.dp) // else there is nothing to add, and the end of the round is checked
        err = mechanism_release(&trainer->mechanism, trainer->sum, noise);
    if (err == CHOIR_OK)
        descend(trainer, params, global);
    return err;
}

static bool all_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

enum choir_err trainer_run_round(struct trainer *trainer, const float *global, float *delta,
                                 struct rng *sample, struct rng *noise,
                                 struct trainer_report *report)
{
    size_t n = trainer->n_params;
    struct tally tally = {.wanted = report != NULL};
    enum choir_err err = CHOIR_OK;

    optimizer_clear(&trainer->optimizer);
    memcpy(delta, global, n * sizeof *delta); // holds the local parameters until the end
    for (uint32_t step = 0; err == CHOIR_OK && step < trainer->training.local_steps; step++)
        err = run_step(trainer, global, delta, sample, noise, &tally);
    for (size_t i = 0; i < n; i++)
        delta[i] -= global[i];
    if (err == CHOIR_OK && !all_finite(delta, n))
        err = CHOIR_ERR_FORMAT;
    if (err != CHOIR_OK) {
        memset(delta, 0, n * sizeof *delta);
        return err;
    }
    if (report != NULL)
        *report = (struct trainer_report){
            .n_drawn = tally.n_drawn,
            .mean_loss = tally.n_drawn > 0 ? tally.loss / (double)tally.n_drawn : (double)NAN,
            .n_clipped = trainer->training.dp ? tally.n_clipped : 0,
        };
    return CHOIR_OK;
}
