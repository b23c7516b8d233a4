/* choir-node keys: everything a new site needs before it can be enrolled. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "configs/site.h"
#include "ledger/ledger.h"
#include "node/command.h"
#include "node/home.h"
#include "node/keyring.h"
#include "node/nonce.h"
#include "node/passphrase.h"
#include "wire/enrolment.h"

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum choir_err public_path(char path[static PATH_MAX], const struct site_config *config)
{
    int len = snprintf(path, PATH_MAX, "%s/%s.pub", config->state_dir, config->name);

    return len > 0 && len < PATH_MAX ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

// Key file, ledger and NAME.pub are made in this order. Keys without a NAME.pub were cut off (or
// it was given away): what is there is kept, what is missing is made.
static enum choir_err check_new(const struct site_config *config, struct choir_diag *diag)
{
    char ledger[PATH_MAX], public_file[PATH_MAX];

    if (folder_path(ledger, config->state_dir, "ledger.db") != CHOIR_OK ||
        public_path(public_file, config) != CHOIR_OK)
        return diag_set(diag, CHOIR_ERR_FORMAT, config->state_dir, "the path is too long");
    if (is_there(config->keys) && !is_there(public_file))
        return CHOIR_OK;
    if (is_there(ledger))
        return diag_set(diag, CHOIR_ERR_REFUSED, ledger,
                        "there is a ledger here already; what was spent is never forgotten, so it "
                        "is not replaced");
    if (is_there(config->keys))
        return diag_set(diag, CHOIR_ERR_REFUSED, config->keys,
                        "there are keys here already and they are never overwritten");
    return CHOIR_OK;
}

static enum choir_err write_public(const struct site_config *config, const struct roster_site *site,
                                   const struct keyring *keys, struct choir_diag *diag)
{
    uint8_t bytes[ENROLMENT_BYTES_MAX];
    char path[PATH_MAX], fingerprint[ROSTER_FINGERPRINT_MAX];
    size_t len;
    enum choir_err err = enrolment_sign(bytes, &len, site, keys->sign_secret);

    if (err != CHOIR_OK)
        return diag_set(diag, err, "name",
                        "\"%s\" is no name for a site: lower-case letters, digits, - and _",
                        config->name);
    if (public_path(path, config) != CHOIR_OK)
        return diag_set(diag, CHOIR_ERR_FORMAT, config->state_dir, "the path is too long");
    err = file_replace(AT_FDCWD, path, 0644, bytes, len);
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "it cannot be written: %s", strerror(errno)); // NOLINT
    enrolment_fingerprint(fingerprint, bytes, len);
    printf("%s\n", path);
    fprintf(stderr,
            "Send this file to the coordinator, who adds it to the roster, and read its\n"
            "fingerprint to them by telephone:\n  %s\n",
            fingerprint);
    return CHOIR_OK;
}

// The ledger that was made before the making was cut off, or a fresh one.
static enum choir_err make_ledger(const struct site_config *config, const char *passphrase,
                                  enum keyfile_cost cost,
                                  uint8_t public_key[static SIGN_PUBLIC_BYTES])
{
    struct ledger *ledger = NULL;
    enum choir_err err =
        ledger_create(config->state_dir, config->data.id, passphrase, cost, public_key);

    if (err != CHOIR_ERR_REFUSED)
        return err;
    err = ledger_open(config->state_dir, passphrase, &ledger);
    if (err == CHOIR_OK)
        memcpy(public_key, ledger_public_key(ledger), SIGN_PUBLIC_BYTES);
    ledger_close(ledger);
    return err;
}

// Where keys were made and NAME.pub was not, what was drawn then is kept.
static enum choir_err commit(const struct site_config *config, struct roster_site *site,
                             struct choir_diag *diag)
{
    struct nonce nonce;
    enum choir_err err = nonce_read(config->state_dir, &nonce);

    if (err == CHOIR_ERR_MISSING)
        err = nonce_draw(config->state_dir, &nonce);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->state_dir, "the nonce cannot be kept: %s",
                        choir_err_text(err));
    roster_commit(site->commitment, site->sign_key, nonce.bytes);
    return CHOIR_OK;
}

static enum choir_err make_all(const struct site_config *config, const char *passphrase,
                               enum keyfile_cost cost, struct choir_diag *diag)
{
    struct keyring *keys = NULL;
    struct roster_site site = {0};
    enum choir_err err = is_there(config->keys)
                             ? keyring_open(config->keys, passphrase, &keys, diag)
                             : keyring_make(config->keys, passphrase, cost, &keys, diag);

    if (err != CHOIR_OK)
        return err;
    err = make_ledger(config, passphrase, cost, site.ledger_key);
    if (err != CHOIR_OK) { // the keys stay: the next try goes on with them
        err = diag_set(diag, err, config->state_dir, "the ledger cannot be made: %s",
                       choir_err_text(err));
    } else {
        (void)snprintf(site.name, sizeof site.name, "%s", config->name);
        memcpy(site.sign_key, keys->sign_public, sizeof site.sign_key);
        memcpy(site.curve_key, keys->curve_public, sizeof site.curve_key);
        err = commit(config, &site, diag);
        if (err == CHOIR_OK)
            err = write_public(config, &site, keys, diag);
    }
    keyring_free(keys);
    return err;
}

// NAME.pub again with a fresh commitment. The nonce before it has no more use: what it was shown
// for keeps it from being shown again.
static enum choir_err renew(const struct site_config *config, const char *passphrase,
                            struct choir_diag *diag)
{
    struct keyring *keys = NULL;
    struct roster_site site;
    struct nonce nonce;
    uint8_t *bytes = NULL;
    char path[PATH_MAX];
    size_t len = 0;
    enum choir_err err = public_path(path, config);

    if (err == CHOIR_OK)
        err = file_read(path, ENROLMENT_BYTES_MAX, &bytes, &len);
    if (err == CHOIR_OK)
        err = enrolment_decode(bytes, len, &site);
    free(bytes);
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "%s; `choir-node keys` without --renew writes it",
                        choir_err_text(err));
    err = keyring_open(config->keys, passphrase, &keys, diag);
    if (err != CHOIR_OK)
        return err;
    err = nonce_draw(config->state_dir, &nonce);
    if (err != CHOIR_OK) {
        err = diag_set(diag, err, config->state_dir, "the nonce cannot be kept");
    } else {
        roster_commit(site.commitment, site.sign_key, nonce.bytes);
        err = write_public(config, &site, keys, diag);
    }
    keyring_free(keys);
    return err;
}

// Where the settings name a file, nobody need think of a passphrase.
static enum choir_err make_passphrase(const struct site_config *config, struct choir_diag *diag)
{
    enum choir_err err;
    bool made;

    if (config->passphrase_file == NULL)
        return CHOIR_OK;
    err = keyfile_passphrase_make(config->passphrase_file, &made);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->passphrase_file, "the passphrase cannot be written: %s",
                        strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    if (made)
        fprintf(stderr, "A fresh passphrase is in %s: keep a copy, but not beside the keys.\n",
                config->passphrase_file);
    return CHOIR_OK;
}

static enum choir_err make_keys(const struct site_config *config, bool quick_keys,
                                struct choir_diag *diag)
{
    char *passphrase = NULL;
    enum choir_err err = check_new(config, diag);

    if (err != CHOIR_OK)
        return err;
    err = home_make(config->state_dir);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->state_dir, "the folder cannot be made: %s",
                        strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    err = make_passphrase(config, diag);
    if (err == CHOIR_OK)
        err = passphrase_get(config, true, &passphrase, diag);
    if (err == CHOIR_OK)
        err = make_all(config, passphrase, quick_keys ? KEYFILE_COST_MIN : KEYFILE_COST_MODERATE,
                       diag);
    keyfile_free(passphrase);
    return err;
}

static enum choir_err renew_nonce(const struct site_config *config, struct choir_diag *diag)
{
    char *passphrase = NULL;
    enum choir_err err = passphrase_get(config, false, &passphrase, diag);

    if (err == CHOIR_OK)
        err = renew(config, passphrase, diag);
    keyfile_free(passphrase);
    return err;
}

int command_keys(const struct command_line *line)
{
    struct site_config *config = NULL;
    struct choir_diag diag = {0};
    enum choir_err err = site_config_read(line->site, &config, &diag);

    if (err != CHOIR_OK)
        return command_fail(err, &diag);
    if (!roster_name_is_valid(config->name))
        err = diag_set(&diag, CHOIR_ERR_FORMAT, "name",
                       "\"%s\" is no name for a site: 1 to 63 lower-case letters, digits, - and _",
                       config->name);
    else if (line->renew)
        err = renew_nonce(config, &diag);
    else
        err = make_keys(config, line->quick_keys, &diag);
    site_config_free(config);
    return err == CHOIR_OK ? COMMAND_OK : command_fail(err, &diag);
}
