/* sample - a site in a temporary folder: settings, roster, keys, ledger, data and a signed plan. */
#ifndef CHOIR_TESTS_NODE_SAMPLE_H
#define CHOIR_TESTS_NODE_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum { SAMPLE_PATH = 128 };

static inline void sample_folder(char folder[static SAMPLE_PATH])
{
    (void)snprintf(folder, SAMPLE_PATH, "/tmp/choir-node-XXXXXX");
    if (mkdtemp(folder) == NULL)
        abort();
}

static inline void sample_remove(const char *folder)
{
    char command[SAMPLE_PATH + 16];

    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        abort();
}

static inline void sample_write(const char *folder, const char *name, const char *text)
{
    char full[2 * SAMPLE_PATH];
    FILE *file;

    (void)snprintf(full, sizeof full, "%s/%s", folder, name);
    file = fopen(full, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

#endif
