/* archive - what is left of a run for people: one folder with the model and its papers.
 *
 * plan.json and roster.bin as signed, model.safetensors with model-card.md beside it,
 * federation.log for auditors, run.json with the run's figures, and, with masks on, rounds/ with
 * the proofs of the rounds (hub_proof.c writes them). Everything here is public
 * within the federation.
 */
#ifndef CHOIR_AGGREGATOR_ARCHIVE_H
#define CHOIR_AGGREGATOR_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregator/annals.h"
#include "aggregator/study.h"
#include "base/err.h"
#include "ops/progress.h"
#include "wire/message.h"

struct archive_figures {
    uint8_t run[MESSAGE_RUN_BYTES];
    bool complete;
    bool resumed;        // bytes are those since the aggregator was started last
    uint64_t rounds;     // closed
    uint64_t elapsed_ms; // from the first round opened to the end
    uint64_t bytes_up, bytes_down;
    uint64_t ended_unix;
    struct site_set participants; // sites that were in at least one sum
    struct progress_sums sums;    // those of the whole run
};

/* True if a run's papers are complete in `folder`. */
bool archive_is_there(const char *folder);

/* Writes the folder `folder`, which exists. `roster_path` is copied. Fails with CHOIR_ERR_IO,
 * CHOIR_ERR_FORMAT or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err archive_write(const char *folder, const struct study *study,
                                              const struct roster *roster, const char *roster_path,
                                              struct annals *annals,
                                              const struct archive_figures *figures);

#endif
