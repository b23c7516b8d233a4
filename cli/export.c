/* choir export: copies what is left of the last run out of the aggregator's state. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/args.h"
#include "cli/choir.h"
#include "cli/federation.h"
#include "configs/aggregator.h"

enum { FILE_BYTES_MAX = 1 << 30, NAME_BYTES = 32 };

static const char *const papers[] = {"model.safetensors", "model-card.md",  "plan.json",
                                     "roster.bin",        "federation.log", "run.json"};

// The run whose run.json is newest: it is written when a run ends.
static enum choir_err newest_run(const char *runs, char newest[static PATH_MAX])
{
    char path[PATH_MAX];
    struct dirent *entry;
    struct stat about;
    struct timespec best = {0};
    enum choir_err err = CHOIR_ERR_MISSING;
    DIR *folder = opendir(runs);

    if (folder == NULL)
        return err;
    // cppcheck-suppress readdirCalled ; a stream of its own
    while ((entry = readdir(folder)) != NULL) { // NOLINT(concurrency-mt-unsafe)
        if (entry->d_name[0] == '.' ||
            (size_t)snprintf(path, sizeof path, "%s/%s/run.json", runs, entry->d_name) >=
                sizeof path ||
            stat(path, &about) != 0)
            continue;
        if (about.st_mtim.tv_sec < best.tv_sec ||
            (about.st_mtim.tv_sec == best.tv_sec && about.st_mtim.tv_nsec <= best.tv_nsec))
            continue;
        best = about.st_mtim;
        err = federation_path(newest, runs, entry->d_name);
    }
    closedir(folder);
    return err;
}

static enum choir_err copy_as(const char *from_dir, const char *name, const char *to_dir,
                              const char *new_name)
{
    char from[PATH_MAX], to[PATH_MAX];
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err = federation_path(from, from_dir, name);

    if (err == CHOIR_OK)
        err = federation_path(to, to_dir, new_name);
    if (err == CHOIR_OK)
        err = file_read(from, FILE_BYTES_MAX, &bytes, &len);
    if (err == CHOIR_OK)
        err = file_replace(AT_FDCWD, to, 0644, bytes, len);
    free(bytes);
    return err;
}

// The log and the ledgers tell of earlier runs too, and an auditor needs the plan of each.
static enum choir_err copy_plans(const char *runs, const char *newest, const char *to_dir)
{
    enum choir_err err = CHOIR_OK;
    struct dirent *entry;
    DIR *folder = opendir(runs);

    if (folder == NULL)
        return CHOIR_ERR_IO;
    // cppcheck-suppress readdirCalled ; a stream of its own
    while (err == CHOIR_OK && (entry = readdir(folder)) != NULL) { // NOLINT(concurrency-mt-unsafe)
        char run[PATH_MAX], name[NAME_BYTES];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%.8s-plan.json", entry->d_name);
        err = federation_path(run, runs, entry->d_name);
        if (err == CHOIR_OK && strcmp(run, newest) != 0)
            err = copy_as(run, "plan.json", to_dir, name);
        if (err == CHOIR_ERR_MISSING)
            err = CHOIR_OK; // a run that has not ended
    }
    closedir(folder);
    return err;
}

static int export_run(const char *config_path, const char *to)
{
    char runs[PATH_MAX], run[PATH_MAX];
    struct choir_diag diag = {0};
    struct aggregator_config *config = NULL;
    enum choir_err err = aggregator_config_read(config_path, &config, &diag);

    if (err != CHOIR_OK)
        return args_fail(diag.place, diag.message);
    err = federation_path(runs, config->state_dir, "runs");
    aggregator_config_free(config);
    if (err == CHOIR_OK)
        err = newest_run(runs, run);
    if (err != CHOIR_OK)
        return args_fail(config_path, "no run has ended yet; `choir watch` shows the one that goes "
                                      "on");
    err = file_make_dir(to);
    for (size_t i = 0; err == CHOIR_OK && i < sizeof papers / sizeof papers[0]; i++)
        err = copy_as(run, papers[i], to, papers[i]);
    if (err == CHOIR_OK)
        err = copy_plans(runs, run, to);
    if (err != CHOIR_OK)
        return args_fail(to, choir_err_text(err));
    printf("Model, model card, plan, roster, log and figures of the last run are in %s\n", to);
    return EXIT_DONE;
}

int choir_export(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--config") == 0)
        return export_run(argv[2], argv[3]);
    fprintf(args_want_help(argc, argv) ? stdout : stderr,
            "Usage: choir export --config AGGREGATOR.json OUTDIR\n\nCopies model, model card, "
            "plan, roster, log and figures of the last run into OUTDIR.\n");
    return args_want_help(argc, argv) ? EXIT_DONE : EXIT_USAGE;
}
