#include "node/role.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "crypto/rng.h"
#include "node/channel.h"
#include "node/seal.h"
#include "ops/log.h"

enum { SECRET_TIMEOUT_MS = 10000 };

static enum choir_err take_secret(char **passphrase, int *scratch)
{
    struct role_secret *secret = (struct role_secret *)(void *)keyfile_alloc(sizeof *secret);
    enum choir_err err;

    if (secret == NULL)
        return CHOIR_ERR_MEMORY;
    err = channel_take(ROLE_SUPERVISOR, secret, sizeof *secret, SECRET_TIMEOUT_MS, scratch);
    if (err == CHOIR_OK && (secret->magic != ROLE_MAGIC ||
                            memchr(secret->passphrase, '\0', sizeof secret->passphrase) == NULL))
        err = CHOIR_ERR_FORMAT;
    if (err == CHOIR_OK) {
        *passphrase = (char *)keyfile_alloc(sizeof secret->passphrase);
        if (*passphrase == NULL)
            err = CHOIR_ERR_MEMORY;
        else
            memcpy(*passphrase, secret->passphrase, sizeof secret->passphrase);
    }
    keyfile_free(secret);
    return err;
}

enum choir_err role_begin(const char *site_path, bool log_json, struct role *out)
{
    struct choir_diag diag = {0};
    enum choir_err err;

    *out = (struct role){.scratch = -1};
    (void)signal(SIGINT, SIG_IGN); // the supervisor decides; its socket ends
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    log_start("choir-node", log_json, LOG_INFO);
    err = rng_start();
    if (err == CHOIR_OK)
        err = seal_process(0);
    if (err != CHOIR_OK) {
        LOG_EVENT(LOG_ERROR, "start_failed", log_err(err));
        return err;
    }
    err = membership_load(site_path, &out->member, &diag);
    if (err != CHOIR_OK) {
        LOG_EVENT(LOG_ERROR, "settings_refused", log_text("place", diag.place),
                  log_text("message", diag.message));
        return err;
    }
    log_start(out->member.config->name, log_json, LOG_INFO);
    err = take_secret(&out->passphrase, &out->scratch);
    if (err != CHOIR_OK) {
        LOG_EVENT(LOG_ERROR, "start_failed", log_err(err));
        role_release(out);
    }
    return err;
}

void role_forget(struct role *role)
{
    keyfile_free(role->passphrase);
    role->passphrase = NULL;
}

void role_release(struct role *role)
{
    role_forget(role);
    if (role->scratch >= 0)
        close(role->scratch);
    role->scratch = -1;
    membership_release(&role->member);
}
