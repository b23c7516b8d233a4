/* beside - paths that are written in a file and mean something relative to its folder. */
#ifndef CHOIR_CONFIGS_BESIDE_H
#define CHOIR_CONFIGS_BESIDE_H

#include "base/err.h"

/* Replaces *path, a relative path that stands in the file `config`, by one that means the same
 * for the working folder: the folder of `config` is put before it. An absolute path and NULL
 * stay. Fails with CHOIR_ERR_MEMORY; *path is then untouched. */
CHOIR_MUST_CHECK enum choir_err beside_resolve(const char *config, char **path);

#endif
