/* sample - a federation of three sites with its keys, a plan, and a folder to work in. */
#ifndef CHOIR_TESTS_AGGREGATOR_SAMPLE_H
#define CHOIR_TESTS_AGGREGATOR_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "configs/plan.h"
#include "crypto/sign.h"
#include "wire/roster.h"
#include "wire/secrets.h"

enum { SAMPLE_SITES = 3 };

struct sample {
    char folder[64];
    struct roster roster; // north, south, west: ids 1 to 3
    uint8_t root_secret[SIGN_SECRET_BYTES], operator_secret[SIGN_SECRET_BYTES];
    uint8_t aggregator_secret[SECRETS_PEER_BYTES];
};

/* For cmocka: *state becomes a struct sample; the folder goes with everything in it. */
int sample_setup(void **state);
int sample_teardown(void **state);

/* The plan's text with `from` replaced by `to` (NULL: as it is); the caller's (free). Public
 * weights of the sites are 1, 1/2 and 1; the server does fedavg with learning rate 1. */
char *sample_plan_text(const char *from, const char *to);

/* The plan of that text, to be freed with plan_free(). */
struct plan *sample_plan(const char *from, const char *to);

/* The operator's signature on a plan's text. */
void sample_sign(const struct sample *sample, const char *text,
                 uint8_t signature[static SIGN_BYTES]);

/* A path in the folder of the test; `to` has room for 128. */
const char *sample_path(const struct sample *sample, const char *name, char *to);

/* The vector of a site's update that is all zeros but for params[index] = value; the caller's. */
uint8_t *sample_update(const struct plan *plan, size_t index, float value, size_t *len);

/* The same as an unnamed file, which the caller closes. */
int sample_update_file(const struct plan *plan, size_t index, float value);

/* True if `name` is in the folder. */
bool sample_has(const struct sample *sample, const char *name);

#endif
