#include "configs/beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum choir_err beside_resolve(const char *config, char **path)
{
    const char *slash = strrchr(config, '/');
    char *joined = NULL;

    if (*path == NULL || (*path)[0] == '/' || slash == NULL)
        return CHOIR_OK;
    if (asprintf(&joined, "%.*s%s", (int)(slash - config + 1), config, *path) < 0)
        return CHOIR_ERR_MEMORY;
    free(*path);
    *path = joined;
    return CHOIR_OK;
}
