/* choir - the coordinator's command line. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/choir.h"
#include "crypto/rng.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"init", choir_init, "make a federation: keys, roster and aggregator settings"},
    {"roster", choir_roster, "add sites to the roster, or show one"},
    {"plan", choir_plan, "explain a plan and its cost before anything runs; its JSON Schema"},
    {"launch", choir_launch, "sign a plan and start it on a running aggregator"},
    {"watch", choir_watch, "progress of the run; ends with it"},
    {"status", choir_status, "where the run stands now, and why it waits"},
    {"stop", choir_stop, "end the run"},
    {"export", choir_export, "copy model, model card, plan, roster and log of the last run"},
};

static int usage(FILE *to)
{
    fprintf(to, "Usage: choir COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n`choir COMMAND --help` tells how each is used.\n");
    return to == stdout ? EXIT_DONE : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_DUMPABLE, 0); // keys pass through here
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("choir %s\n", CHOIR_VERSION);
        return EXIT_DONE;
    }
    if (rng_start() != CHOIR_OK) {
        fprintf(stderr, "choir: the system has no source of randomness\n");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "choir: there is no command \"%s\"\n\n", argv[1]);
    return usage(stderr);
}
