#include "tests/configs/sample.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

const char sample_plan[] =
    "{\n"
    "  \"choir_plan\": 1,\n"
    "  \"name\": \"lenders\",\n"
    "  \"description\": \"Will a loan go bad?\",\n"
    "  \"data\": {\n"
    "    \"columns\": [\n"
    "      {\"name\": \"amount\", \"kind\": \"numeric\", \"min\": 0, \"max\": 40000},\n"
    "      {\"name\": \"size\", \"kind\": \"numeric\", \"min\": 0, \"max\": 100, \"center\": 3,"
    " \"scale\": 2, \"transform\": \"log1p\", \"missing\": \"flag\", \"fill\": 20,"
    " \"missing_codes\": [\"-9\"]},\n"
    "      {\"name\": \"term\", \"kind\": \"category\", \"levels\": [\"36\", \"60\", \"other\"],"
    " \"missing\": \"fill\", \"fill\": \"60\"},\n"
    "      {\"name\": \"id\", \"kind\": \"ignore\"}\n"
    "    ],\n"
    "    \"label\": {\"name\": \"class\", \"positive\": [\"bad\"], \"negative\": [\"good\", \"fair\"]},\n"
    "    \"patient\": null\n"
    "  },\n"
    "  \"unit\": \"record\",\n"
    "  \"sites\": [\n"
    "    {\"name\": \"midwest\", \"nominal_size\": 1800},\n"
    "    {\"name\": \"south\", \"nominal_size\": 900},\n"
    "    {\"name\": \"west\", \"nominal_size\": 1200}\n"
    "  ],\n"
    "  \"model\": {\n"
    "    \"layers\": [\n"
    "      {\"kind\": \"dense\", \"units\": 4, \"activation\": \"tanh\"},\n"
    "      {\"kind\": \"dense\", \"units\": 1, \"activation\": \"none\"}\n"
    "    ],\n"
    "    \"loss\": \"logistic\",\n"
    "    \"init_seed\": 7\n"
    "  },\n"
    "  \"training\": {\n"
    "    \"local_steps\": 20,\n"
    "    \"optimizer\": {\"kind\": \"adam\", \"learning_rate\": 0.5, \"beta1\": 0.8},\n"
    "    \"l2\": 0.01\n"
    "  },\n"
    "  \"rounds\": 30,\n"
    "  \"server\": {\"kind\": \"fedyogi\", \"learning_rate\": 0.25, \"tau\": 0.01},\n"
    "  \"pipeline\": [\"read\", \"unit_gradients\", \"dp_sgd\", \"sum\", \"server_optimizer\"],\n"
    "  \"privacy\": {\n"
    "    \"mechanism\": \"dp-sgd\", \"clip_norm\": 1.5, \"noise_multiplier\": 1.25,\n"
    "    \"sampling_rate\": 0.05, \"neighboring\": \"add_or_remove_one\", \"delta\": 1e-5\n"
    "  },\n"
    "  \"update\": {\"clip_norm\": 10, \"lane_bits\": 32},\n"
    "  \"secure_aggregation\": \"off\",\n"
    "  \"quorum\": {\"min_sites\": 2, \"phase_deadline_s\": 15}\n"
    "}\n";

char *sample_change(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *changed = NULL;

    if (at == NULL ||
        asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
        abort();
    return changed;
}

const char *sample_path(const char *name)
{
    static char path[4096];
    const char *root = getenv("CHOIR_SOURCE_ROOT"); // NOLINT(concurrency-mt-unsafe)

    snprintf(path, sizeof path, "%s/%s", root == NULL ? "." : root, name);
    return path;
}

char *sample_file(const char *name)
{
    uint8_t *bytes = NULL;
    size_t len = 0;

    if (file_read(sample_path(name), 1 << 20, &bytes, &len) != CHOIR_OK)
        return NULL;
    return (char *)bytes;
}
