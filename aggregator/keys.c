#include "aggregator/keys.h"

#include "crypto/keyfile.h"
#include "wire/secrets.h"

enum choir_err keys_open(const struct aggregator_config *config, const char *purpose,
                         uint8_t **secret, struct choir_diag *diag)
{
    char *passphrase = NULL;
    size_t len = 0;
    enum choir_err err;

    if (config->passphrase_file == NULL)
        return diag_set(diag, CHOIR_ERR_MISSING, config->keys,
                        "name a passphrase_file in the settings (mode 0600; a systemd credential "
                        "is such a file)");
    err = keyfile_passphrase(config->passphrase_file, &passphrase);
    if (err != CHOIR_OK)
        return diag_set(diag, err, config->passphrase_file, "%s",
                        keyfile_passphrase_fault_text(err));
    err = keyfile_open(config->keys, purpose, passphrase, secret, &len);
    keyfile_free(passphrase);
    if (err == CHOIR_OK && len != SECRETS_PEER_BYTES)
        err = CHOIR_ERR_FORMAT;
    return err == CHOIR_OK ? err : diag_set(diag, err, config->keys, "%s", keyfile_fault_text(err));
}
