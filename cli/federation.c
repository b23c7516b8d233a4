#include "cli/federation.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/folder.h"
#include "crypto/keyfile.h"

enum choir_err federation_passphrase(const char *dir, const char *file, char **passphrase,
                                     struct choir_diag *diag)
{
    char path[PATH_MAX];
    enum choir_err err = CHOIR_OK;

    if (file == NULL)
        err = folder_path(path, dir, "passphrase");
    if (err == CHOIR_OK)
        err = keyfile_passphrase(file == NULL ? path : file, passphrase);
    if (err == CHOIR_OK)
        return CHOIR_OK;
    return diag_set(diag, err, file == NULL ? path : file,
                    "%s; --passphrase-file names another file", keyfile_passphrase_fault_text(err));
}

enum choir_err federation_key(const char *dir, const char *name, const char *purpose,
                              const char *passphrase, size_t len, uint8_t **secret,
                              struct choir_diag *diag)
{
    char path[PATH_MAX] = "";
    size_t got = 0;
    uint8_t *opened = NULL;
    enum choir_err err = folder_path(path, dir, name);

    if (err == CHOIR_OK)
        err = keyfile_open(path, purpose, passphrase, &opened, &got);
    if (err == CHOIR_OK && got != len)
        err = CHOIR_ERR_FORMAT;
    if (err != CHOIR_OK) {
        keyfile_free(opened);
        return diag_set(diag, err, path, "%s", keyfile_fault_text(err));
    }
    *secret = opened;
    return CHOIR_OK;
}

enum choir_err federation_store_roster(const char *dir, struct roster *roster,
                                       const uint8_t *root_secret, struct choir_diag *diag)
{
    char path[PATH_MAX] = "";
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err = roster_sign(roster, root_secret, &bytes, &len);

    if (err == CHOIR_OK)
        err = folder_path(path, dir, "roster.bin");
    if (err == CHOIR_OK)
        err = file_replace(AT_FDCWD, path, 0644, bytes, len);
    free(bytes);
    return err == CHOIR_OK ? err
                           : diag_set(diag, err, path, "the roster could not be written: %s",
                                      choir_err_text(err));
}
