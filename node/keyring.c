#include "node/keyring.h"

#include <string.h>
#include <unistd.h>

static const char purpose[] = "choir site";

enum { BUNDLE_BYTES = SIGN_SECRET_BYTES + CURVE_KEY_BYTES };

enum choir_err keyring_make(const char *path, const char *passphrase, enum keyfile_cost cost,
                            struct keyring **out, struct choir_diag *diag)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct keyring *keys = (struct keyring *)(void *)keyfile_alloc(sizeof *keys);
    uint8_t *bundle = keyfile_alloc(BUNDLE_BYTES);

    if (keys == NULL || bundle == NULL)
        goto out;
    if (access(path, F_OK) == 0) {
        err = diag_set(diag, CHOIR_ERR_REFUSED, path,
                       "there are keys here already and they are never overwritten");
        goto out;
    }
    sign_keypair(keys->sign_public, keys->sign_secret);
    curve_keypair(keys->curve_public, keys->curve_secret);
    memcpy(bundle, keys->sign_secret, SIGN_SECRET_BYTES);
    memcpy(bundle + SIGN_SECRET_BYTES, keys->curve_secret, CURVE_KEY_BYTES);
    err = keyfile_seal(path, purpose, cost, passphrase, bundle, BUNDLE_BYTES);
    if (err != CHOIR_OK) {
        err = diag_set(diag, err, path, "the key file cannot be written: %s", choir_err_text(err));
        goto out;
    }
    *out = keys;
    keys = NULL;
out:
    keyfile_free(bundle);
    keyfile_free(keys);
    return err;
}

enum choir_err keyring_open(const char *path, const char *passphrase, struct keyring **out,
                            struct choir_diag *diag)
{
    struct keyring *keys = NULL;
    uint8_t *bundle = NULL;
    size_t len = 0;
    enum choir_err err = keyfile_open(path, purpose, passphrase, &bundle, &len);

    if (err == CHOIR_OK && len != BUNDLE_BYTES)
        err = CHOIR_ERR_FORMAT;
    if (err != CHOIR_OK) {
        err = diag_set(diag, err, path, "%s", keyfile_fault_text(err));
        goto out;
    }
    keys = (struct keyring *)(void *)keyfile_alloc(sizeof *keys);
    if (keys == NULL) {
        err = CHOIR_ERR_MEMORY;
        goto out;
    }
    memcpy(keys->sign_secret, bundle, SIGN_SECRET_BYTES);
    memcpy(keys->curve_secret, bundle + SIGN_SECRET_BYTES, CURVE_KEY_BYTES);
    // The second half of an Ed25519 secret key is its public key (RFC 8032 as libsodium keeps it).
    memcpy(keys->sign_public, keys->sign_secret + SIGN_SEED_BYTES, SIGN_PUBLIC_BYTES);
    curve_public(keys->curve_public, keys->curve_secret);
    *out = keys;
    keys = NULL;
out:
    keyfile_free(bundle);
    keyfile_free(keys);
    return err;
}

void keyring_free(struct keyring *keys)
{
    keyfile_free(keys);
}
