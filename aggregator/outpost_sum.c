/* A relay's sums: asked for by the aggregator, made of vectors that are here, served. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/outpost_state.h"
#include "base/file.h"
#include "base/now.h"
#include "ops/log.h"

static const char sum_letter[] = "sum.letter"; // the newest SUM, as signed

// Vectors of this attempt that are not in the sum can never be in one: their sites dropped.
static enum choir_err destroy_others(struct outpost *outpost, const struct relay_letter *sum)
{
    struct site_set *kept = &outpost->kept;

    kept->n = 0;
    for (size_t i = 0; i < sum->n; i++)
        site_set_add(kept, sum->vector[i].site);
    for (size_t i = 0; i <= ROSTER_SITES_MAX; i++)
        outpost->held[i].any = outpost->held[i].whole = false;
    outpost->have_due = false;
    return intake_keep_only(outpost->intake, kept);
}

enum choir_err outpost_serve_sum(struct outpost *outpost)
{
    sender_free(outpost->sender);
    outpost->sender = NULL;
    return sender_new(outpost->tally.source, true, &outpost->sender);
}

static enum choir_err add_up(struct outpost *outpost, const struct relay_letter *sum)
{
    struct relay_letter *answer = &outpost->answer;
    uint32_t lacking = 0;
    enum choir_err err;

    sender_free(outpost->sender); // it reads the sum before
    outpost->sender = NULL;
    err = tally_make(&outpost->tally, outpost->intake, outpost->folder, sum, &lacking);
    if (err == CHOIR_ERR_MEMORY)
        return err;
    answer->kind = RELAY_ANSWER;
    answer->relay = outpost->self->id;
    answer->roster_epoch = outpost->roster.epoch;
    memcpy(answer->run, sum->run, sizeof answer->run);
    answer->round = sum->round;
    answer->attempt = sum->attempt;
    relay_question(sum, answer->question);
    answer->code = err == CHOIR_OK            ? RELAY_SUMMED
                   : err == CHOIR_ERR_MISSING ? RELAY_LACKS
                                              : RELAY_FAILED;
    answer->site = answer->code == RELAY_LACKS ? lacking : 0;
    answer->bytes = err == CHOIR_OK ? sum->bytes : 0;
    memset(answer->root, 0, HASH_BYTES);
    if (err != CHOIR_OK) {
        LOG_EVENT(LOG_ERROR, "sum_failed", log_whole("round", sum->round),
                  log_whole("attempt", sum->attempt), log_whole("lacking", lacking), log_err(err));
        return CHOIR_OK;
    }
    LOG_EVENT(LOG_INFO, "sum_made", log_whole("round", sum->round),
              log_whole("attempt", sum->attempt), log_whole("sites", sum->n));
    memcpy(answer->root, source_root(outpost->tally.source), HASH_BYTES);
    outpost->sum = *sum;
    err = destroy_others(outpost, sum);
    return err == CHOIR_OK ? outpost_serve_sum(outpost) : err;
}

// A sum is made of this relay's sites only, and only when the aggregator signed for it.
static bool may_ask(const struct outpost *outpost, const struct relay_letter *sum)
{
    if (sum->kind != RELAY_SUM || sum->relay != outpost->self->id || sum->n == 0)
        return false;
    for (size_t i = 0; i < sum->n; i++) {
        const struct roster_site *site = roster_by_id(&outpost->roster, sum->vector[i].site);

        if (site == NULL || site->relay != outpost->self->id)
            return false;
    }
    return true;
}

enum choir_err outpost_take_question(struct outpost *outpost, const uint8_t *bytes, size_t len)
{
    struct relay_letter *sum = &outpost->letter;
    uint8_t question[HASH_BYTES];
    enum choir_err err = relay_open(bytes, len, &outpost->roster, sum);

    if (err != CHOIR_OK || !may_ask(outpost, sum)) {
        outpost_reject(outpost, err != CHOIR_OK ? choir_err_text(err)
                                                : "it asks for vectors that are not ours");
        return CHOIR_OK;
    }
    relay_question(sum, question);
    if (outpost->answer.round != 0 && outpost->answer.code == RELAY_SUMMED &&
        memcmp(question, outpost->answer.question, HASH_BYTES) == 0)
        return outpost_send(outpost, &outpost->answer);
    err = file_replace(outpost->folder, sum_letter, 0600, bytes, len);
    if (err == CHOIR_OK)
        err = add_up(outpost, sum);
    return err == CHOIR_OK ? outpost_send(outpost, &outpost->answer) : err;
}

enum choir_err outpost_recall_sum(struct outpost *outpost)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err;
    int fd = openat(outpost->folder, sum_letter, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return CHOIR_OK;
    err = file_read_fd(fd, RELAY_LETTER_MAX, &bytes, &len);
    close(fd);
    if (err == CHOIR_OK && relay_open(bytes, len, &outpost->roster, &outpost->letter) == CHOIR_OK &&
        may_ask(outpost, &outpost->letter))
        outpost->sum = outpost->letter;
    free(bytes);
    return err == CHOIR_ERR_FORMAT ? CHOIR_OK : err;
}

static enum choir_err give_vector(void *context, uint32_t site,
                                  const uint8_t root[static HASH_BYTES], int folder,
                                  const char *name)
{
    return intake_give(context, site, root, folder, name);
}

void outpost_keep_vectors(struct outpost *outpost)
{
    struct relay_letter *sum = &outpost->sum;
    struct site_set *sites = &outpost->kept;
    enum choir_err err;

    if (sum->round != outpost->lookout.round ||
        memcmp(sum->run, outpost->lookout.run, sizeof sum->run) != 0)
        return; // none of our sites is in the sum
    sites->n = 0;
    for (size_t i = 0; i < sum->n; i++) {
        site_set_add(sites, sum->vector[i].site);
        memcpy(outpost->roots[i], sum->vector[i].root, HASH_BYTES);
    }
    err = retention_keep(outpost->retention, sum->run, sum->round, sites,
                         (const uint8_t(*)[HASH_BYTES])outpost->roots, give_vector, outpost->intake,
                         now_unix());
    if (err != CHOIR_OK)
        LOG_EVENT(LOG_WARNING, "vectors_not_kept", log_whole("round", sum->round), log_err(err));
    unlinkat(outpost->folder, sum_letter, 0);
    sum->round = 0;
}
