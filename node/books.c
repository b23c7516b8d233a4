#include "node/books.h"

#include <stddef.h>

#include "crypto/keyfile.h"
#include "node/passphrase.h"

static const char *reason(enum choir_err err)
{
    switch (err) {
    case CHOIR_ERR_MISSING:
        return "there is no ledger here: choir-node keys makes one for a new site";
    case CHOIR_ERR_FORGED:
        return "the passphrase is wrong, or the ledger was damaged or changed";
    case CHOIR_ERR_AGAIN:
        return "another process uses this ledger, but no node answers on its control socket";
    case CHOIR_OK:
    case CHOIR_ERR_MEMORY:
    case CHOIR_ERR_IO:
    case CHOIR_ERR_FORMAT:
    case CHOIR_ERR_REFUSED:
    case CHOIR_ERR_PEER:
    default:
        return choir_err_text(err);
    }
}

enum choir_err books_open(const struct site_config *config, struct books *out,
                          struct choir_diag *diag)
{
    char *passphrase = NULL;
    enum choir_err err = home_open(config->state_dir, &out->home);

    out->ledger = NULL;
    if (err != CHOIR_OK)
        return diag_set(
            diag, err, config->state_dir,
            err == CHOIR_ERR_REFUSED
                ? "others may write to the state folder, or it is another user's: chmod 700"
                : "the state folder is not complete: choir-node keys makes it");
    err = passphrase_get(config, false, &passphrase, diag);
    if (err == CHOIR_OK) {
        err = ledger_open(config->state_dir, passphrase, &out->ledger);
        if (err != CHOIR_OK)
            err = diag_set(diag, err, config->state_dir, "%s", reason(err));
    }
    keyfile_free(passphrase);
    if (err != CHOIR_OK)
        home_close(&out->home);
    return err;
}

void books_close(struct books *books)
{
    ledger_close(books->ledger);
    books->ledger = NULL;
    home_close(&books->home);
}
