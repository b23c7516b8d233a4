/* child - one process that the supervisor started: the vault or the courier. */
#ifndef CHOIR_NODE_CHILD_H
#define CHOIR_NODE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "node/role.h"

enum child_role { CHILD_VAULT, CHILD_COURIER, CHILD_ROLES };

/* The sub-commands by which the program starts itself again; not for people. */
#define CHILD_VAULT_COMMAND   "role-vault"
#define CHILD_COURIER_COMMAND "role-courier"

struct child {
    pid_t pid; // 0: none
    int end;   // channel to it, or -1
};

/* Starts this program again in the given role: a fresh process image that holds its channel to
 * the supervisor, `peer` (borrowed), and standard input, output and error; it dies when the
 * caller dies. Then hands it the secret and, unless it is -1, the file `scratch` (borrowed). Fails with CHOIR_ERR_IO or CHOIR_ERR_PEER. */
CHOIR_MUST_CHECK enum choir_err child_start(struct child *child, enum child_role role, int peer,
                                            const char *site_path, bool log_json,
                                            const struct role_secret *secret, int scratch);

/* Closes the channel, which tells it to end in order. */
void child_let_go(struct child *child);
/* Kills it at once; it is to be waited for. Does nothing where there is none. */
void child_kill(struct child *child);
/* After it was waited for. */
void child_forget(struct child *child);

const char *child_role_text(size_t role);

#endif
