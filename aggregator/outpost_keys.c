/* choir-aggregator keys: what a new relay needs before it can be put on the roster. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/outpost.h"
#include "base/file.h"
#include "base/folder.h"
#include "crypto/keyfile.h"
#include "wire/enrolment.h"
#include "wire/secrets.h"

static enum choir_err make_passphrase(const struct aggregator_config *config, char **passphrase,
                                      struct choir_diag *diag)
{
    enum choir_err err;
    bool made = false;

    if (config->passphrase_file == NULL)
        return diag_set(diag, CHOIR_ERR_MISSING, config->keys,
                        "name a passphrase_file in the settings: one is made");
    err = keyfile_passphrase_make(config->passphrase_file, &made);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->passphrase_file, "the passphrase cannot be written: %s",
                        strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    if (made)
        fprintf(stderr, "A fresh passphrase is in %s: keep a copy, but not beside the keys.\n",
                config->passphrase_file);
    err = keyfile_passphrase(config->passphrase_file, passphrase);
    return err == CHOIR_OK ? err
                           : diag_set(diag, err, config->passphrase_file, "%s",
                                      keyfile_passphrase_fault_text(err));
}

static enum choir_err write_public(const struct aggregator_config *config,
                                   const struct roster_relay *relay, const uint8_t *secret,
                                   struct choir_diag *diag)
{
    uint8_t bytes[ENROLMENT_BYTES_MAX];
    char path[PATH_MAX], name[ROSTER_NAME_MAX + 8], fingerprint[ROSTER_FINGERPRINT_MAX];
    size_t len = 0;
    enum choir_err err = enrolment_sign_relay(bytes, &len, relay, secret);

    if (err != CHOIR_OK)
        return diag_set(diag, err, "relay",
                        "name or address cannot be written: names are lower-case letters, digits, "
                        "- and _, addresses tcp://HOST:PORT");
    (void)snprintf(name, sizeof name, "%s.pub", relay->name);
    err = folder_path(path, config->state_dir, name);
    if (err == CHOIR_OK)
        err = file_replace(AT_FDCWD, path, 0644, bytes, len);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->state_dir, "%s cannot be written there", name);
    enrolment_fingerprint(fingerprint, bytes, len);
    printf("%s\n", path);
    fprintf(stderr,
            "Send this file to the coordinator, who adds it with `choir roster add-relay`, and "
            "read its\nfingerprint to them by telephone:\n  %s\n",
            fingerprint);
    return CHOIR_OK;
}

enum choir_err outpost_make_keys(const struct aggregator_config *config, const char *control,
                                 const char *bulk, bool quick_keys, struct choir_diag *diag)
{
    struct roster_relay relay = {0};
    char *passphrase = NULL;
    uint8_t *secret = NULL;
    enum choir_err err;

    if (access(config->keys, F_OK) == 0)
        return diag_set(diag, CHOIR_ERR_REFUSED, config->keys,
                        "there are keys here already and they are never overwritten");
    err = folder_make(config->state_dir);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->state_dir, "the folder cannot be made");
    err = make_passphrase(config, &passphrase, diag);
    if (err != CHOIR_OK)
        goto out;
    secret = keyfile_alloc(SECRETS_PEER_BYTES);
    if (secret == NULL) {
        err = diag_set(diag, CHOIR_ERR_MEMORY, "keys", "out of memory");
        goto out;
    }
    (void)snprintf(relay.name, sizeof relay.name, "%s", config->relay);
    (void)snprintf(relay.control, sizeof relay.control, "%s", control);
    (void)snprintf(relay.bulk, sizeof relay.bulk, "%s", bulk);
    sign_keypair(relay.sign_key, secret);
    curve_keypair(relay.curve_key, secret + SIGN_SECRET_BYTES);
    err = write_public(config, &relay, secret, diag);
    if (err != CHOIR_OK)
        goto out;
    err = keyfile_seal(config->keys, SECRETS_RELAY,
                       quick_keys ? KEYFILE_COST_MIN : KEYFILE_COST_MODERATE, passphrase, secret,
                       SECRETS_PEER_BYTES);
    if (err != CHOIR_OK)
        diag_set(diag, err, config->keys, "the keys cannot be written: %s", choir_err_text(err));
out:
    keyfile_free(secret);
    keyfile_free(passphrase);
    return err;
}
