/* args - options of a sub-command: "--name value" and "--flag", the rest by position. */
#ifndef CHOIR_CLI_ARGS_H
#define CHOIR_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct args_option {
    const char *name;   // "--control"
    const char **value; // where the text goes; NULL for a flag
    bool *flag;
};

/* Takes the options out of argv[1..argc); what is left stands in rest[0..*n_rest), which has room
 * for argc. Fails with CHOIR_ERR_FORMAT (unknown option, missing value) after saying so on
 * standard error. */
CHOIR_MUST_CHECK enum choir_err args_read(int argc, char **argv, const struct args_option *options,
                                          size_t n_options, const char **rest, size_t *n_rest);

/* A whole number in [min, max]. Fails with CHOIR_ERR_FORMAT after saying so. */
CHOIR_MUST_CHECK enum choir_err args_number(const char *name, const char *text, uint64_t min,
                                            uint64_t max, uint64_t *out);

/* True if all that was given is --help. */
bool args_want_help(int argc, char **argv);

/* "choir: PLACE: MESSAGE" on standard error; returns EXIT_FAILED. */
int args_fail(const char *place, const char *message);

#endif
