/* plan_table - the keys of a plan: what plan.h reads and what its JSON Schema says. */
#ifndef CHOIR_CONFIGS_PLAN_TABLE_H
#define CHOIR_CONFIGS_PLAN_TABLE_H

#include <stddef.h>

#include "configs/field.h"

/* The rows of a plan, to be read into a struct plan; *n is their number. */
const struct field *plan_table(size_t *n);

#endif
