/* choir-node reveal: shows the site's nonce for the sites that its roster lists, and for no others. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "node/command.h"
#include "node/keyring.h"
#include "node/membership.h"
#include "node/nonce.h"
#include "node/passphrase.h"
#include "wire/enrolment.h"

static enum choir_err write_nonce(const struct site_config *config,
                                  const struct enrolment_nonce *shown,
                                  const uint8_t sign_secret[static SIGN_SECRET_BYTES],
                                  struct choir_diag *diag)
{
    uint8_t bytes[ENROLMENT_BYTES_MAX];
    char path[PATH_MAX];
    size_t len;
    int path_len = snprintf(path, sizeof path, "%s/%s.nonce", config->state_dir, config->name);
    enum choir_err err = enrolment_sign_nonce(bytes, &len, shown, sign_secret);

    if (path_len <= 0 || path_len >= PATH_MAX)
        return diag_set(diag, CHOIR_ERR_FORMAT, config->state_dir, "the path is too long");
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->keys, "this is not the key of site %s on the roster",
                        config->name);
    err = file_replace(AT_FDCWD, path, 0644, bytes, len);
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "it cannot be written: %s", strerror(errno)); // NOLINT
    printf("%s\n", path);
    fprintf(stderr, "Send this file to the coordinator, who runs `choir roster reveal` when the "
                    "files of all sites\nare there. From now on no site can be added without every "
                    "site committing anew.\n");
    return CHOIR_OK;
}

static enum choir_err reveal(const struct membership *member, struct choir_diag *diag)
{
    struct enrolment_nonce shown = {{0}, {0}, {0}, {0}};
    struct keyring *keys = NULL;
    struct nonce nonce;
    char *passphrase = NULL;
    enum choir_err err = passphrase_get(member->config, false, &passphrase, diag);

    if (err == CHOIR_OK)
        err = keyring_open(member->config->keys, passphrase, &keys, diag);
    keyfile_free(passphrase);
    if (err != CHOIR_OK)
        return err;
    err = nonce_show(member->config->state_dir, &member->roster, member->self, &nonce, diag);
    if (err == CHOIR_OK) {
        (void)snprintf(shown.name, sizeof shown.name, "%s", member->self->name);
        memcpy(shown.sign_key, member->self->sign_key, sizeof shown.sign_key);
        memcpy(shown.list, nonce.list, sizeof shown.list);
        memcpy(shown.nonce, nonce.bytes, sizeof shown.nonce);
        err = write_nonce(member->config, &shown, keys->sign_secret, diag);
    }
    keyring_free(keys);
    return err;
}

int command_reveal(const struct command_line *line)
{
    struct membership member = {0};
    struct choir_diag diag = {0};
    enum choir_err err = membership_load(line->site, &member, &diag);

    if (err == CHOIR_OK)
        err = reveal(&member, &diag);
    membership_release(&member);
    return err == CHOIR_OK ? COMMAND_OK : command_fail(err, &diag);
}
