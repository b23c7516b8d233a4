#include "node/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/folder.h"
#include "crypto/keyfile.h"
#include "crypto/rng.h"

static enum choir_err from_file(const char *path, char **out, struct choir_diag *diag)
{
    enum choir_err err = keyfile_passphrase(path, out);

    return err == CHOIR_OK ? err
                           : diag_set(diag, err, path, "%s", keyfile_passphrase_fault_text(err));
}

static void print_to(int terminal, const char *text)
{
    ssize_t written = write(terminal, text, strlen(text));

    (void)written;
}

static bool read_line(int terminal, char *line, size_t max)
{
    size_t len = 0;
    char one;

    while (len < max && read(terminal, &one, 1) == 1) {
        if (one == '\n') {
            line[len] = '\0';
            return len > 0;
        }
        line[len++] = one;
    }
    return false;
}

// Asks with the echo off; false if nothing usable was typed.
static bool ask(int terminal, const char *prompt, char line[static KEYFILE_PASSPHRASE_MAX])
{
    struct termios before, quiet;
    bool good;

    if (tcgetattr(terminal, &before) != 0)
        return false;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(terminal, TCSAFLUSH, &quiet) != 0)
        return false;
    print_to(terminal, prompt);
    good = read_line(terminal, line, KEYFILE_PASSPHRASE_MAX);
    (void)tcsetattr(terminal, TCSAFLUSH, &before);
    print_to(terminal, "\n");
    return good;
}

static enum choir_err from_terminal(bool fresh, char **out, struct choir_diag *diag)
{
    char *first = (char *)keyfile_alloc(KEYFILE_PASSPHRASE_MAX);
    char *second = (char *)keyfile_alloc(KEYFILE_PASSPHRASE_MAX);
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    enum choir_err err = CHOIR_ERR_FORMAT;

    if (terminal < 0) {
        err = diag_set(diag, CHOIR_ERR_MISSING, "passphrase_file",
                       "the settings name none, there is no systemd credential "
                       "\"choir-passphrase\", and there is no terminal to ask on");
    } else if (first == NULL || second == NULL) {
        err = CHOIR_ERR_MEMORY;
    } else if (!ask(terminal, "Passphrase of this site's keys: ", first) ||
               (fresh && !ask(terminal, "The same again: ", second))) {
        err = diag_set(diag, err, "terminal", "no passphrase was typed");
    } else if (fresh && strcmp(first, second) != 0) {
        err = diag_set(diag, err, "terminal", "the two passphrases differ");
    } else {
        *out = first;
        first = NULL;
        err = CHOIR_OK;
    }
    if (terminal >= 0)
        close(terminal);
    keyfile_free(first);
    keyfile_free(second);
    return err;
}

enum choir_err passphrase_get(const struct site_config *config, bool fresh, char **out,
                              struct choir_diag *diag)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY"); // NOLINT(concurrency-mt-unsafe)
    char path[PATH_MAX];

    if (config->passphrase_file != NULL)
        return from_file(config->passphrase_file, out, diag);
    if (credentials != NULL && folder_path(path, credentials, "choir-passphrase") == CHOIR_OK &&
        access(path, R_OK) == 0)
        return from_file(path, out, diag);
    return from_terminal(fresh, out, diag);
}
