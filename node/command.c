#include "node/command.h"

#include <stdio.h>
#include <time.h>

#include "crypto/keyfile.h"
#include "node/membership.h"
#include "node/passphrase.h"
#include "node/supervisor.h"

enum { AGAIN_TRIES = 50 };

bool command_again(enum choir_err err, unsigned *tries)
{
    const struct timespec pause = {.tv_nsec = 100000000L};

    if (err != CHOIR_ERR_AGAIN || *tries == AGAIN_TRIES)
        return false;
    ++*tries;
    (void)nanosleep(&pause, NULL);
    return true;
}

int command_fail(enum choir_err err, const struct choir_diag *diag)
{
    if (diag->message[0] == '\0')
        fprintf(stderr, "choir-node: %s\n", choir_err_text(err));
    else
        fprintf(stderr, "choir-node: %s: %s\n", diag->place, diag->message);
    return COMMAND_FAILED;
}

int command_run(const struct command_line *line)
{
    struct membership member = {0};
    struct choir_diag diag = {0};
    char *passphrase = NULL;
    int status;
    enum choir_err err = membership_load(line->site, &member, &diag);

    if (err == CHOIR_OK)
        err = passphrase_get(member.config, false, &passphrase, &diag);
    status = err == CHOIR_OK ? supervisor_run(line->site, &member, passphrase, line->log_json)
                             : command_fail(err, &diag);
    keyfile_free(passphrase);
    membership_release(&member);
    return status;
}
