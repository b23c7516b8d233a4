/* choir - the sub-commands of the coordinator's command line; each prints and returns the exit
 * code: 0 done, 1 failed (the message says what and what to do), 2 wrong usage. */
#ifndef CHOIR_CLI_CHOIR_H
#define CHOIR_CLI_CHOIR_H

#include "base/err.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Sub-commands; argv[0] is the sub-command itself. */
int choir_init(int argc, char **argv);
int choir_roster(int argc, char **argv);
int choir_plan(int argc, char **argv);
int choir_launch(int argc, char **argv);
int choir_watch(int argc, char **argv);
int choir_status(int argc, char **argv);
int choir_stop(int argc, char **argv);
int choir_export(int argc, char **argv);

#endif
