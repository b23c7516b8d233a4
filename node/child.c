#include "node/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "node/channel.h"

static const char *const commands[CHILD_ROLES] = {CHILD_VAULT_COMMAND, CHILD_COURIER_COMMAND};
static const char *const role_texts[CHILD_ROLES] = {"vault", "courier"};

enum { EXIT_NOT_STARTED = 127, PARKED_FIRST = 10 };

const char *child_role_text(size_t role)
{
    return role < CHILD_ROLES ? role_texts[role] : "?";
}

// In the new process, only calls that are safe after fork(). Both descriptors are first moved out
// of the way, since one may stand where the other has to go.
static void become(int supervisor, int peer, pid_t parent, char *const arguments[])
{
    sigset_t none;
    int parked[2];

    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(EXIT_NOT_STARTED);
    parked[0] = fcntl(supervisor, F_DUPFD, PARKED_FIRST);
    parked[1] = fcntl(peer, F_DUPFD, PARKED_FIRST);
    if (parked[0] < 0 || parked[1] < 0 || dup2(parked[0], ROLE_SUPERVISOR) < 0 ||
        dup2(parked[1], ROLE_PEER) < 0)
        _exit(EXIT_NOT_STARTED);
    (void)close_range(ROLE_PEER + 1, ~0U, 0);
    (void)execv("/proc/self/exe", arguments);
    _exit(EXIT_NOT_STARTED);
}

// execv() takes its strings without const and leaves them as they are.
static char *word(const char *text)
{
    char *same;

    memcpy(&same, &text, sizeof same);
    return same;
}

enum choir_err child_start(struct child *child, enum child_role role, int peer,
                           const char *site_path, bool log_json, const struct role_secret *secret,
                           int scratch)
{
    pid_t parent = getpid(), pid;
    enum choir_err err;
    int ends[2];

    err = channel_pair(ends);
    if (err != CHOIR_OK)
        return err;
    pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return CHOIR_ERR_IO;
    }
    if (pid == 0) {
        char *arguments[] = {word("choir-node"),
                             word(commands[role]),
                             word("--site"),
                             word(site_path),
                             log_json ? word("--log-json") : NULL,
                             NULL};

        become(ends[1], peer, parent, arguments);
    }
    close(ends[1]);
    child->pid = pid;
    child->end = ends[0];
    err = channel_send(child->end, secret, sizeof *secret, scratch);
    return err == CHOIR_ERR_PEER ? CHOIR_OK : err; // it died at once: waitpid() will tell
}

void child_let_go(struct child *child)
{
    if (child->end >= 0)
        close(child->end);
    child->end = -1;
}

void child_kill(struct child *child)
{
    if (child->pid > 0)
        (void)kill(child->pid, SIGKILL);
    child_let_go(child);
}

void child_forget(struct child *child)
{
    child_let_go(child);
    child->pid = 0;
}
