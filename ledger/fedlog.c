#include "ledger/fedlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "ledger/store.h"

struct fedlog {
    struct store store;
};

enum choir_err fedlog_create(const char *path, const char *name,
                             const uint8_t federation[static ENTRY_ID_BYTES],
                             const uint8_t public_key[static SIGN_PUBLIC_BYTES],
                             const uint8_t secret_key[static SIGN_SECRET_BYTES])
{
    struct entry genesis = {.kind = ENTRY_GENESIS, .time = now_unix()};

    if (strlen(name) >= sizeof genesis.genesis.name)
        return CHOIR_ERR_FORMAT;
    genesis.genesis.scope = ENTRY_SCOPE_LOG;
    snprintf(genesis.genesis.name, sizeof genesis.genesis.name, "%s", name);
    memcpy(genesis.genesis.federation, federation, ENTRY_ID_BYTES);
    memcpy(genesis.genesis.public_key, public_key, SIGN_PUBLIC_BYTES);
    return store_create(path, "", &genesis, secret_key, NULL, 0);
}

enum choir_err fedlog_open(const char *path, const uint8_t public_key[static SIGN_PUBLIC_BYTES],
                           const uint8_t secret_key[static SIGN_SECRET_BYTES], struct fedlog **out)
{
    enum choir_err err;
    struct fedlog *log = calloc(1, sizeof *log);

    if (log == NULL)
        return CHOIR_ERR_MEMORY;
    err = store_open(path, ENTRY_SCOPE_LOG, &log->store);
    if (err == CHOIR_OK && memcmp(log->store.public_key, public_key, SIGN_PUBLIC_BYTES) != 0)
        err = CHOIR_ERR_FORGED;
    if (err != CHOIR_OK)
        goto out;
    memcpy(log->store.secret_key, secret_key, SIGN_SECRET_BYTES);
    err = store_settle(&log->store);
    if (err != CHOIR_OK)
        goto out;
    *out = log;
    log = NULL;
out:
    fedlog_close(log);
    return err;
}

void fedlog_close(struct fedlog *log)
{
    if (log == NULL)
        return;
    store_close(&log->store);
    free(log);
}

enum choir_err fedlog_append(struct fedlog *log, const struct entry *entry)
{
    enum choir_err err;
    uint64_t index = 0;

    if (entry->kind < ENTRY_ROSTER)
        return CHOIR_ERR_FORMAT;
    err = store_begin(&log->store);
    if (err != CHOIR_OK)
        return err;
    err = store_append(&log->store, entry, &index);
    if (err != CHOIR_OK)
        return store_undo(&log->store, err);
    err = store_commit(&log->store);
    if (err == CHOIR_OK && entry->kind == ENTRY_ROUND_CLOSE)
        store_fold(&log->store);
    return err;
}

void fedlog_head(const struct fedlog *log, struct head *head)
{
    *head = log->store.head;
}

enum choir_err fedlog_each(struct fedlog *log, fedlog_visit *visit, void *context)
{
    return store_each(&log->store, visit, context);
}

enum choir_err fedlog_export(struct fedlog *log, int dir_fd, const char *path)
{
    return store_export(&log->store, dir_fd, path);
}
