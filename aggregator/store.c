#include "aggregator/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA mmap_size = 0;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA secure_delete = ON;"
                               "PRAGMA temp_store = MEMORY;"
                               "CREATE TABLE IF NOT EXISTS record "
                               "(seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;";

struct store {
    sqlite3 *db;
    sqlite3_stmt *insert, *list;
    bool failed;
};

static enum choir_err from_sqlite(int code)
{
    switch (code) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return CHOIR_OK;
    case SQLITE_NOMEM:
        return CHOIR_ERR_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CHOIR_ERR_AGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CHOIR_ERR_FORGED;
    default:
        return CHOIR_ERR_IO;
    }
}

static int check_row(void *good, int n, char **texts, char **names)
{
    (void)names;
    *(bool *)good = n == 1 && texts[0] != NULL && strcmp(texts[0], "ok") == 0;
    return 0;
}

enum choir_err store_open(const char *path, struct store **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct store *store = calloc(1, sizeof *store);
    bool good = false;

    if (store == NULL)
        return err;
    err = from_sqlite(sqlite3_open(path, &store->db));
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_exec(store->db, settings, NULL, NULL, NULL));
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_exec(store->db, "PRAGMA quick_check", check_row, &good, NULL));
    if (err == CHOIR_OK && !good)
        err = CHOIR_ERR_FORGED;
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_prepare_v2(store->db, "INSERT INTO record (bytes) VALUES (?)", -1,
                                             &store->insert, NULL));
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_prepare_v2(store->db, "SELECT bytes FROM record ORDER BY seq", -1,
                                             &store->list, NULL));
    if (err != CHOIR_OK) {
        store_close(store);
        return err;
    }
    *out = store;
    return CHOIR_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    sqlite3_finalize(store->insert);
    sqlite3_finalize(store->list);
    sqlite3_close(store->db);
    free(store);
}

enum choir_err store_append(struct store *store, const uint8_t *record, size_t len)
{
    int code;

    if (store->failed)
        return CHOIR_ERR_IO;
    code = sqlite3_bind_blob64(store->insert, 1, record, len, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(store->insert);
    sqlite3_reset(store->insert);
    store->failed = code != SQLITE_DONE;
    return store->failed ? CHOIR_ERR_IO : CHOIR_OK;
}

enum choir_err store_each(struct store *store, store_visit *visit, void *context)
{
    enum choir_err err = CHOIR_OK;
    int code = SQLITE_ROW;

    while (err == CHOIR_OK && (code = sqlite3_step(store->list)) == SQLITE_ROW)
        err = visit(context, sqlite3_column_blob(store->list, 0),
                    (size_t)sqlite3_column_bytes(store->list, 0));
    sqlite3_reset(store->list);
    return err != CHOIR_OK ? err : from_sqlite(code);
}

enum choir_err store_clear(struct store *store)
{
    if (store->failed)
        return CHOIR_ERR_IO;
    store->failed = sqlite3_exec(store->db, "DELETE FROM record", NULL, NULL, NULL) != SQLITE_OK;
    return store->failed ? CHOIR_ERR_IO : CHOIR_OK;
}
