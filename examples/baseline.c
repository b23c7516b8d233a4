#include "examples/baseline.h"

#include <stdint.h>
#include <stdlib.h>

#include "crypto/rng.h"
#include "train/trainer.h"

static struct training settings(const struct dataset *dataset)
{
    const double n = (double)dataset->n;

    return (struct training){
        .local_steps = BASELINE_STEPS,
        .optimizer = {.kind = OPTIMIZER_ADAM,
                      .learning_rate = 0.03,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .epsilon = 1e-8},
        .l2 = (double)BASELINE_RIDGE / n,
        .sampling_rate = 1.0,
        .nominal_size = n,
    };
}

enum choir_err baseline_train(const struct plan *plan, const struct dataset *dataset, float *params)
{
    static const uint8_t seed[RNG_SEED_BYTES] = {0}; // nothing is drawn at sampling rate 1
    const struct training training = settings(dataset);
    struct trainer *trainer = NULL;
    struct rng *sample = NULL;
    struct rng *noise = NULL;
    float *delta = calloc(plan->n_params, sizeof *delta);
    enum choir_err err = delta != NULL ? CHOIR_OK : CHOIR_ERR_MEMORY;

    if (err == CHOIR_OK)
        err = rng_open_seeded("baseline sample", seed, &sample);
    if (err == CHOIR_OK)
        err = rng_open_seeded("baseline noise", seed, &noise);
    if (err == CHOIR_OK)
        err = model_init(&plan->model, params);
    if (err == CHOIR_OK)
        err = trainer_new(&plan->model, dataset, &training, &trainer, NULL);
    if (err == CHOIR_OK)
        err = trainer_run_round(trainer, params, delta, sample, noise, NULL);
    for (size_t i = 0; err == CHOIR_OK && i < plan->n_params; i++)
        params[i] += delta[i];
    trainer_free(trainer);
    rng_close(noise);
    rng_close(sample);
    free(delta);
    return err;
}
