#include "tests/aggregator/sample.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "crypto/rng.h"
#include "privacy/quantize.h"
#include "wire/planseal.h"

static const char plan_text[] =
    "{\"choir_plan\": 1, \"name\": \"tiny\", \"description\": \"A test.\",\n"
    " \"data\": {\"columns\": [\n"
    "   {\"name\": \"x\", \"kind\": \"numeric\", \"min\": 0, \"max\": 1},\n"
    "   {\"name\": \"y\", \"kind\": \"numeric\", \"min\": 0, \"max\": 1}],\n"
    "  \"label\": {\"name\": \"z\", \"positive\": [\"1\"], \"negative\": [\"0\"]},\n"
    "  \"patient\": null},\n"
    " \"unit\": \"record\",\n"
    " \"sites\": [{\"name\": \"north\", \"nominal_size\": 100},\n"
    "  {\"name\": \"south\", \"nominal_size\": 50}, {\"name\": \"west\", \"nominal_size\": 100}],\n"
    " \"model\": {\"layers\": [{\"kind\": \"dense\", \"units\": 4, \"activation\": \"tanh\"},\n"
    "   {\"kind\": \"dense\", \"units\": 4, \"activation\": \"tanh\"},\n"
    "   {\"kind\": \"dense\", \"units\": 1, \"activation\": \"none\"}],\n"
    "  \"loss\": \"logistic\", \"init_seed\": 3},\n"
    " \"training\": {\"local_steps\": 2,\n"
    "  \"optimizer\": {\"kind\": \"sgd\", \"learning_rate\": 0.5}},\n"
    " \"rounds\": 3,\n"
    " \"server\": {\"kind\": \"fedavg\", \"learning_rate\": 1.0},\n"
    " \"pipeline\": [\"read\", \"unit_gradients\", \"dp_sgd\", \"sum\", \"server_optimizer\"],\n"
    " \"privacy\": {\"mechanism\": \"dp-sgd\", \"clip_norm\": 1.0, \"noise_multiplier\": 1.2,\n"
    "  \"sampling_rate\": 0.1, \"neighboring\": \"add_or_remove_one\", \"delta\": 1e-5},\n"
    " \"update\": {\"clip_norm\": 8, \"lane_bits\": 32},\n"
    " \"secure_aggregation\": \"off\",\n"
    " \"quorum\": {\"min_sites\": 2, \"phase_deadline_s\": 15}}\n";

static void add_site(struct roster *roster, const char *name)
{
    uint8_t sign_secret[SIGN_SECRET_BYTES], curve_secret[CURVE_KEY_BYTES];
    struct roster_site site = {0};
    uint32_t id;

    snprintf(site.name, sizeof site.name, "%s", name);
    sign_keypair(site.sign_key, sign_secret);
    sign_keypair(site.ledger_key, sign_secret);
    curve_keypair(site.curve_key, curve_secret);
    if (roster_add(roster, &site, &id) != CHOIR_OK)
        abort();
}

static void make_roster(struct sample *sample)
{
    struct roster *roster = &sample->roster;
    uint8_t *bytes = NULL;
    size_t len = 0;

    rng_bytes(roster->federation, sizeof roster->federation);
    snprintf(roster->name, sizeof roster->name, "testers");
    roster->epoch = 1;
    roster->issued = now_unix() - 60;
    roster->expires = roster->issued + 3600;
    snprintf(roster->aggregator.control, ROSTER_ENDPOINT_MAX, "tcp://127.0.0.1:7901");
    snprintf(roster->aggregator.bulk, ROSTER_ENDPOINT_MAX, "tcp://127.0.0.1:7902");
    sign_keypair(roster->root_key, sample->root_secret);
    sign_keypair(roster->operator_key, sample->operator_secret);
    sign_keypair(roster->aggregator.sign_key, sample->aggregator_secret);
    curve_keypair(roster->aggregator.curve_key, sample->aggregator_secret + SIGN_SECRET_BYTES);
    add_site(roster, "north");
    add_site(roster, "south");
    add_site(roster, "west");
    if (roster_sign(roster, sample->root_secret, &bytes, &len) != CHOIR_OK)
        abort();
    free(bytes);
}

int sample_setup(void **state)
{
    struct sample *sample;

    if (rng_start() != CHOIR_OK)
        return -1;
    sample = calloc(1, sizeof *sample);
    if (sample == NULL)
        return -1;
    *state = sample;
    snprintf(sample->folder, sizeof sample->folder, "/tmp/choir-aggregator-XXXXXX");
    if (mkdtemp(sample->folder) == NULL)
        return -1;
    make_roster(sample);
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    return remove(path);
}

int sample_teardown(void **state)
{
    struct sample *sample = *state;

    nftw(sample->folder, remove_one, 16, // NOLINT(concurrency-mt-unsafe)
         FTW_DEPTH | FTW_PHYS);
    roster_release(&sample->roster);
    free(sample);
    return 0;
}

char *sample_plan_text(const char *from, const char *to)
{
    const char *at = from == NULL ? NULL : strstr(plan_text, from);
    char *text = NULL;

    if (from == NULL)
        return strdup(plan_text);
    if (at == NULL ||
        asprintf(&text, "%.*s%s%s", (int)(at - plan_text), plan_text, to, at + strlen(from)) < 0)
        abort();
    return text;
}

struct plan *sample_plan(const char *from, const char *to)
{
    char *text = sample_plan_text(from, to);
    struct choir_diag diag = {0};
    struct plan *plan = NULL;

    if (plan_read((const uint8_t *)text, strlen(text), "plan", &plan, &diag) != CHOIR_OK) {
        fprintf(stderr, "%s: %s\n", diag.place, diag.message);
        abort();
    }
    free(text);
    return plan;
}

void sample_sign(const struct sample *sample, const char *text,
                 uint8_t signature[static SIGN_BYTES])
{
    uint8_t hash[HASH_BYTES];

    hash_bytes(hash, text, strlen(text));
    planseal_make(signature, &sample->roster, hash, sample->operator_secret);
}

const char *sample_path(const struct sample *sample, const char *name, char *to)
{
    snprintf(to, 128, "%s/%s", sample->folder, name);
    return to;
}

uint8_t *sample_update(const struct plan *plan, size_t index, float value, size_t *len)
{
    struct quantize_layout layout;
    float *values = calloc(plan->n_params, sizeof *values);
    uint8_t *bytes;

    if (values == NULL ||
        quantize_layout_make(plan->n_params, plan->update.lane_bits, (uint32_t)plan->n_sites,
                             plan->update.clip_norm, &layout) != CHOIR_OK)
        abort();
    values[index] = value;
    bytes = malloc(layout.n_bytes);
    if (bytes == NULL || quantize_encode(&layout, values, bytes) != CHOIR_OK)
        abort();
    free(values);
    *len = layout.n_bytes;
    return bytes;
}

int sample_update_file(const struct plan *plan, size_t index, float value)
{
    size_t len = 0;
    uint8_t *bytes = sample_update(plan, index, value, &len);
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        abort();
    free(bytes);
    return fd;
}

bool sample_has(const struct sample *sample, const char *name)
{
    char path[128];

    return access(sample_path(sample, name, path), F_OK) == 0;
}
