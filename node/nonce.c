#include "node/nonce.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/folder.h"
#include "crypto/rng.h"

enum { VERSION = 1, FILE_BYTES = 8 + 2 + ROSTER_NONCE_BYTES + 1 + HASH_BYTES };

static const char magic[8] = {'C', 'H', 'O', 'I', 'R', 'N', 'O', 'N'};

static enum choir_err keep(const char *state_dir, const struct nonce *nonce)
{
    uint8_t bytes[FILE_BYTES];
    struct buf buf = buf_over(bytes, sizeof bytes);
    char path[PATH_MAX];

    buf_bytes(&buf, magic, sizeof magic);
    buf_u16(&buf, VERSION);
    buf_bytes(&buf, nonce->bytes, sizeof nonce->bytes);
    buf_u8(&buf, nonce->shown ? 1 : 0);
    buf_bytes(&buf, nonce->list, sizeof nonce->list);
    if (folder_path(path, state_dir, "nonce") != CHOIR_OK)
        return CHOIR_ERR_IO;
    return file_replace(AT_FDCWD, path, 0600, bytes, buf.len);
}

enum choir_err nonce_draw(const char *state_dir, struct nonce *out)
{
    struct nonce nonce = {.shown = false};
    enum choir_err err;

    rng_bytes(nonce.bytes, sizeof nonce.bytes);
    err = keep(state_dir, &nonce);
    if (err == CHOIR_OK)
        *out = nonce;
    return err;
}

enum choir_err nonce_read(const char *state_dir, struct nonce *out)
{
    struct nonce nonce = {.shown = false};
    char path[PATH_MAX];
    const uint8_t *head;
    uint8_t *bytes = NULL, shown;
    struct view view;
    size_t len = 0;
    enum choir_err err = folder_path(path, state_dir, "nonce");

    if (err == CHOIR_OK)
        err = file_read(path, FILE_BYTES, &bytes, &len);
    if (err != CHOIR_OK)
        return err;
    view = view_over(bytes, len);
    head = view_take(&view, sizeof magic);
    if (head == NULL || memcmp(head, magic, sizeof magic) != 0 || view_u16(&view) != VERSION)
        err = CHOIR_ERR_FORMAT;
    view_bytes(&view, nonce.bytes, sizeof nonce.bytes);
    shown = view_u8(&view);
    view_bytes(&view, nonce.list, sizeof nonce.list);
    if (!view_done(&view) || shown > 1)
        err = CHOIR_ERR_FORMAT;
    nonce.shown = shown == 1;
    if (err == CHOIR_OK)
        *out = nonce;
    free(bytes);
    return err;
}

static enum choir_err check_commitments(const struct roster *roster, const struct roster_site *self,
                                        const struct nonce *nonce, struct choir_diag *diag)
{
    static const uint8_t none[HASH_BYTES];
    uint8_t commitment[HASH_BYTES];

    for (size_t i = 0; i < roster->n_sites; i++)
        if (memcmp(roster->sites[i].commitment, none, sizeof none) == 0)
            return diag_set(diag, CHOIR_ERR_REFUSED, "roster",
                            "site %s has committed to no nonce yet: it has to make its keys "
                            "again with this version",
                            roster->sites[i].name);
    roster_commit(commitment, self->sign_key, nonce->bytes);
    if (memcmp(commitment, self->commitment, sizeof commitment) != 0)
        return diag_set(diag, CHOIR_ERR_REFUSED, "roster",
                        "it has another commitment of this site than %s.pub: the coordinator has "
                        "to add that file",
                        self->name);
    return CHOIR_OK;
}

enum choir_err nonce_show(const char *state_dir, const struct roster *roster,
                          const struct roster_site *self, struct nonce *out,
                          struct choir_diag *diag)
{
    struct nonce nonce;
    uint8_t list[HASH_BYTES];
    enum choir_err err = nonce_read(state_dir, &nonce);

    if (err != CHOIR_OK)
        return diag_set(diag, err, state_dir,
                        "the nonce of this site cannot be read: %s; `choir-node keys --renew` "
                        "draws another one",
                        choir_err_text(err));
    err = check_commitments(roster, self, &nonce, diag);
    if (err != CHOIR_OK)
        return err;
    roster_commitments(list, roster);
    if (nonce.shown && memcmp(nonce.list, list, sizeof list) != 0)
        return diag_set(diag, CHOIR_ERR_REFUSED, "roster",
                        "this site has shown its nonce for another list of sites; with "
                        "`choir-node keys --renew` it commits to a new one");
    nonce.shown = true;
    memcpy(nonce.list, list, sizeof list);
    err = keep(state_dir, &nonce);
    if (err != CHOIR_OK)
        return diag_set(diag, err, state_dir, "what is shown cannot be written down");
    *out = nonce;
    return CHOIR_OK;
}

enum choir_err nonce_check(const char *state_dir, const struct roster *roster,
                           struct choir_diag *diag)
{
    struct nonce nonce = {.shown = false};
    uint8_t list[HASH_BYTES];

    if (!roster->has_seed)
        return CHOIR_OK;
    roster_commitments(list, roster);
    if (nonce_read(state_dir, &nonce) == CHOIR_OK && nonce.shown &&
        memcmp(nonce.list, list, sizeof list) == 0)
        return CHOIR_OK;
    return diag_set(diag, CHOIR_ERR_REFUSED, "roster",
                    "its nonces are of another list of sites than the one this site showed its own "
                    "for, so they may have been chosen: every site has to commit anew "
                    "(`choir-node keys --renew`)");
}
