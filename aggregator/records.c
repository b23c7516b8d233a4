#include "aggregator/records.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct records {
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

// What a crash left in the WAL may have been written but not synced: in the database file it is
// durable before anything is done on account of it.
static enum choir_err fold(struct records *records)
{
    return from_sqlite(
        sqlite3_exec(records->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL));
}

enum choir_err records_open(const char *path, struct records **out)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct records *records = calloc(1, sizeof *records);
    bool good = false;
    int fd;

    if (records == NULL)
        return err;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); // SQLite would let others read it
    if (fd >= 0)
        close(fd);
    err = from_sqlite(sqlite3_open(path, &records->db));
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_exec(records->db, settings, NULL, NULL, NULL));
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_exec(records->db, "PRAGMA quick_check", check_row, &good, NULL));
    if (err == CHOIR_OK && !good)
        err = CHOIR_ERR_FORGED;
    if (err == CHOIR_OK)
        err = fold(records);
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_prepare_v2(records->db, "INSERT INTO record (bytes) VALUES (?)",
                                             -1, &records->insert, NULL));
    if (err == CHOIR_OK)
        err = from_sqlite(sqlite3_prepare_v2(records->db, "SELECT bytes FROM record ORDER BY seq",
                                             -1, &records->list, NULL));
    if (err != CHOIR_OK) {
        records_close(records);
        return err;
    }
    *out = records;
    return CHOIR_OK;
}

void records_close(struct records *records)
{
    if (records == NULL)
        return;
    sqlite3_finalize(records->insert);
    sqlite3_finalize(records->list);
    sqlite3_close(records->db);
    free(records);
}

enum choir_err records_append(struct records *records, const uint8_t *record, size_t len)
{
    int code;

    if (records->failed)
        return CHOIR_ERR_IO;
    code = sqlite3_bind_blob64(records->insert, 1, record, len, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(records->insert);
    sqlite3_reset(records->insert);
    records->failed = code != SQLITE_DONE;
    return records->failed ? CHOIR_ERR_IO : CHOIR_OK;
}

enum choir_err records_each(struct records *records, records_visit *visit, void *context)
{
    enum choir_err err = CHOIR_OK;
    int code = SQLITE_ROW;

    while (err == CHOIR_OK && (code = sqlite3_step(records->list)) == SQLITE_ROW)
        err = visit(context, sqlite3_column_blob(records->list, 0),
                    (size_t)sqlite3_column_bytes(records->list, 0));
    sqlite3_reset(records->list);
    return err != CHOIR_OK ? err : from_sqlite(code);
}

enum choir_err records_clear(struct records *records)
{
    if (records->failed)
        return CHOIR_ERR_IO;
    records->failed =
        sqlite3_exec(records->db, "DELETE FROM record", NULL, NULL, NULL) != SQLITE_OK;
    return records->failed ? CHOIR_ERR_IO : CHOIR_OK;
}
