#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearby.h"
#include "cli/choir.h"

enum { OPTIONS_MAX = 16 };

static const struct args_option *find(const struct args_option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static void complain_unknown(const struct args_option *options, size_t n, const char *name)
{
    const char *names[OPTIONS_MAX];
    const char *meant;

    for (size_t i = 0; i < n && i < OPTIONS_MAX; i++)
        names[i] = options[i].name;
    meant = nearby(name, names, n < OPTIONS_MAX ? n : OPTIONS_MAX);
    if (meant != NULL)
        fprintf(stderr, "choir: %s is no option here; did you mean %s?\n", name, meant);
    else
        fprintf(stderr, "choir: %s is no option here\n", name);
}

enum choir_err args_read(int argc, char **argv, const struct args_option *options, size_t n_options,
                         const char **rest, size_t *n_rest)
{
    *n_rest = 0;
    for (int i = 1; i < argc; i++) {
        const struct args_option *option;

        if (strncmp(argv[i], "--", 2) != 0) {
            rest[(*n_rest)++] = argv[i];
            continue;
        }
        option = find(options, n_options, argv[i]);
        if (option == NULL) {
            complain_unknown(options, n_options, argv[i]);
            return CHOIR_ERR_FORMAT;
        }
        if (option->value == NULL) {
            *option->flag = true;
            continue;
        }
        if (++i == argc) {
            fprintf(stderr, "choir: %s needs a value\n", option->name);
            return CHOIR_ERR_FORMAT;
        }
        *option->value = argv[i];
    }
    return CHOIR_OK;
}

enum choir_err args_number(const char *name, const char *text, uint64_t min, uint64_t max,
                           uint64_t *out)
{
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)text[0]) || *end != '\0' || value < min ||
        value > max) {
        fprintf(stderr, "choir: %s must be a whole number from %llu to %llu, not \"%s\"\n", name,
                (unsigned long long)min, (unsigned long long)max, text);
        return CHOIR_ERR_FORMAT;
    }
    *out = value;
    return CHOIR_OK;
}

bool args_want_help(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--help") == 0;
}

int args_fail(const char *place, const char *message)
{
    fprintf(stderr, "choir: %s: %s\n", place, message);
    return EXIT_FAILED;
}
