#include "ledger/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/rng.h"
#include "ledger/ledgerfile.h"

enum {
    APPLICATION_ID = 1128812370, // 0x43484f52, "CHOR", in the header of the database file
    SCHEMA_VERSION = 1,          // user_version; 0 while a file is being made
};

static const char tables[] =
    "CREATE TABLE owner(one INTEGER PRIMARY KEY CHECK(one = 1), scope INTEGER NOT NULL,"
    " public_key BLOB NOT NULL, secret BLOB NOT NULL) STRICT;"
    "CREATE TABLE entry(idx INTEGER PRIMARY KEY, salt BLOB NOT NULL, body BLOB NOT NULL) STRICT;"
    "CREATE TABLE head(size INTEGER PRIMARY KEY, root BLOB NOT NULL,"
    " signature BLOB NOT NULL) STRICT;";

/* One connection that both writes and folds the WAL, no shared memory, nothing mapped, nothing
 * in temporary files; a commit waits for the disk. */
static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE;"
                               "PRAGMA journal_mode=WAL;"
                               "PRAGMA synchronous=FULL;"
                               "PRAGMA wal_autocheckpoint=0;"
                               "PRAGMA mmap_size=0;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA trusted_schema=OFF;"
                               "PRAGMA cell_size_check=ON;"
                               "PRAGMA foreign_keys=ON;"
                               "PRAGMA secure_delete=ON;";

static enum choir_err from_sqlite(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
        return CHOIR_OK;
    case SQLITE_DONE:
        return CHOIR_ERR_MISSING;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CHOIR_ERR_AGAIN;
    case SQLITE_NOMEM:
        return CHOIR_ERR_MEMORY;
    case SQLITE_CONSTRAINT:
        return CHOIR_ERR_REFUSED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: // a table that should be there is not
        return CHOIR_ERR_FORGED;
    default:
        return CHOIR_ERR_IO;
    }
}

// A disk that fails breaks the store; a full one (SQLITE_FULL) does not.
static enum choir_err from_code(struct store *store, int code)
{
    if ((code & 0xff) == SQLITE_IOERR)
        store->broken = true;
    return from_sqlite(code);
}

static enum choir_err run(struct store *store, const char *sql)
{
    return from_code(store, sqlite3_exec(store->db, sql, NULL, NULL, NULL));
}

static enum choir_err connect_to(const char *path, int flags, struct store *store)
{
    int code = sqlite3_open_v2(path, &store->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE | flags,
                               NULL);

    if (code != SQLITE_OK)
        return from_sqlite(code);
    // Closing writes and removes nothing: the next start folds the WAL.
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return run(store, settings);
}

static enum choir_err number_of(struct store *store, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    enum choir_err err = store_prepare(store, sql, &statement);

    if (err == CHOIR_OK)
        err = store_step(store, statement);
    if (err == CHOIR_OK)
        *value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return err;
}

enum choir_err store_prepare(struct store *store, const char *sql, sqlite3_stmt **out)
{
    if (store->broken)
        return CHOIR_ERR_IO;
    return from_code(store, sqlite3_prepare_v2(store->db, sql, -1, out, NULL));
}

enum choir_err store_step(struct store *store, sqlite3_stmt *statement)
{
    return from_code(store, sqlite3_step(statement));
}

enum choir_err store_finish(struct store *store, sqlite3_stmt *statement)
{
    enum choir_err err = store_step(store, statement);

    sqlite3_finalize(statement);
    return err == CHOIR_ERR_MISSING ? CHOIR_OK : err;
}

enum choir_err store_blob(sqlite3_stmt *statement, int column, void *to, size_t len)
{
    const void *from = sqlite3_column_blob(statement, column);

    if (sqlite3_column_bytes(statement, column) != (int)len || (len > 0 && from == NULL))
        return CHOIR_ERR_FORGED;
    if (len > 0)
        memcpy(to, from, len);
    return CHOIR_OK;
}

enum choir_err store_begin(struct store *store)
{
    if (store->broken)
        return CHOIR_ERR_IO;
    store->pending = store->tree;
    return run(store, "BEGIN IMMEDIATE");
}

enum choir_err store_undo(struct store *store, enum choir_err err)
{
    store->pending = store->tree;
    if (store->db != NULL && sqlite3_get_autocommit(store->db) == 0 &&
        run(store, "ROLLBACK") != CHOIR_OK)
        store->broken = true;
    return err;
}

enum choir_err store_append(struct store *store, const struct entry *entry, uint64_t *index)
{
    enum choir_err err;
    uint8_t salt[ENTRY_SALT_BYTES], leaf[HASH_BYTES];
    uint8_t body[ENTRY_BYTES_MAX];
    size_t len = 0;
    sqlite3_stmt *insert = NULL;

    if (store->pending.size >= LEDGERFILE_ENTRIES_MAX)
        return CHOIR_ERR_REFUSED; // more could not be exported
    err = entry_encode(entry, body, sizeof body, &len);
    if (err != CHOIR_OK)
        return err;
    rng_bytes(salt, sizeof salt);
    err = store_prepare(store, "INSERT INTO entry VALUES(?, ?, ?)", &insert);
    if (err != CHOIR_OK)
        return err;
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)store->pending.size);
    sqlite3_bind_blob(insert, 2, salt, sizeof salt, SQLITE_TRANSIENT);
    sqlite3_bind_blob(insert, 3, body, (int)len, SQLITE_TRANSIENT);
    err = store_finish(store, insert);
    if (err != CHOIR_OK)
        return err;
    *index = store->pending.size;
    entry_leaf(leaf, salt, body, len);
    tree_push(&store->pending, leaf);
    return CHOIR_OK;
}

static enum choir_err add_head(struct store *store, struct head *head)
{
    sqlite3_stmt *insert = NULL;
    enum choir_err err = store_prepare(store, "INSERT INTO head VALUES(?, ?, ?)", &insert);

    if (err != CHOIR_OK)
        return err;
    head->size = store->pending.size;
    tree_root(&store->pending, head->root);
    head_sign(head, store->scope, store->public_key, store->secret_key);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)head->size);
    sqlite3_bind_blob(insert, 2, head->root, sizeof head->root, SQLITE_TRANSIENT);
    sqlite3_bind_blob(insert, 3, head->signature, sizeof head->signature, SQLITE_TRANSIENT);
    return store_finish(store, insert);
}

enum choir_err store_commit(struct store *store)
{
    enum choir_err err = CHOIR_OK;
    struct head head = store->head;

    if (store->pending.size != store->tree.size)
        err = add_head(store, &head);
    if (err != CHOIR_OK)
        return store_undo(store, err);
    err = run(store, "COMMIT");
    if (err != CHOIR_OK) { // it may or may not be on the disk: only the next start knows
        store->broken = true;
        return CHOIR_ERR_IO;
    }
    store->tree = store->pending;
    store->head = head;
    return CHOIR_OK;
}

static enum choir_err fill_new(struct store *store, const char *schema, const struct entry *genesis,
                               const uint8_t *secret, size_t secret_len)
{
    sqlite3_stmt *insert = NULL;
    uint64_t index = 0;
    enum choir_err err = run(store, tables);

    if (err == CHOIR_OK)
        err = run(store, schema);
    if (err == CHOIR_OK)
        err = store_prepare(store, "INSERT INTO owner VALUES(1, ?, ?, ?)", &insert);
    if (err != CHOIR_OK)
        return err;
    sqlite3_bind_int(insert, 1, (int)store->scope);
    sqlite3_bind_blob(insert, 2, store->public_key, sizeof store->public_key, SQLITE_TRANSIENT);
    sqlite3_bind_blob64(insert, 3, secret_len > 0 ? (const void *)secret : "", secret_len,
                        SQLITE_TRANSIENT);
    err = store_finish(store, insert);
    if (err == CHOIR_OK)
        err = store_append(store, genesis, &index);
    if (err == CHOIR_OK)
        err = run(store, "PRAGMA application_id=1128812370; PRAGMA user_version=1");
    return err;
}

enum choir_err store_create(const char *path, const char *schema, const struct entry *genesis,
                            const uint8_t secret_key[static SIGN_SECRET_BYTES],
                            const uint8_t *secret, size_t secret_len)
{
    struct store store = {.scope = genesis->genesis.scope};
    int64_t version = 0;
    enum choir_err err;
    int fd;

    assert(genesis->kind == ENTRY_GENESIS && secret_len <= STORE_SECRET_MAX);
    memcpy(store.public_key, genesis->genesis.public_key, SIGN_PUBLIC_BYTES);
    memcpy(store.secret_key, secret_key, SIGN_SECRET_BYTES);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); // SQLite would let others read it
    if (fd < 0)
        return CHOIR_ERR_IO;
    close(fd);
    err = connect_to(path, 0, &store);
    if (err == CHOIR_OK)
        err = number_of(&store, "PRAGMA user_version", &version);
    if (err == CHOIR_OK && version != 0)
        err = CHOIR_ERR_REFUSED;
    if (err == CHOIR_OK)
        err = store_begin(&store);
    if (err != CHOIR_OK)
        goto out;
    err = fill_new(&store, schema, genesis, secret, secret_len);
    err = err == CHOIR_OK ? store_commit(&store) : store_undo(&store, err);
out:
    store_close(&store);
    return err;
}

static enum choir_err read_owner(struct store *store)
{
    sqlite3_stmt *select = NULL;
    enum choir_err err =
        store_prepare(store, "SELECT scope, public_key, secret FROM owner", &select);
    int len;

    if (err == CHOIR_OK)
        err = store_step(store, select);
    if (err != CHOIR_OK)
        goto out;
    len = sqlite3_column_bytes(select, 2);
    if (sqlite3_column_int(select, 0) != (int)store->scope || len > STORE_SECRET_MAX) {
        err = CHOIR_ERR_FORGED;
        goto out;
    }
    store->secret_len = (size_t)len;
    err = store_blob(select, 1, store->public_key, sizeof store->public_key);
    if (err == CHOIR_OK)
        err = store_blob(select, 2, store->secret, store->secret_len);
out:
    sqlite3_finalize(select);
    return err == CHOIR_ERR_MISSING ? CHOIR_ERR_FORGED : err;
}

static enum choir_err read_head(struct store *store)
{
    sqlite3_stmt *select = NULL;
    uint8_t root[HASH_BYTES];
    enum choir_err err = store_prepare(
        store, "SELECT size, root, signature FROM head ORDER BY size DESC LIMIT 1", &select);

    if (err == CHOIR_OK)
        err = store_step(store, select);
    if (err != CHOIR_OK)
        goto out;
    store->head.size = (uint64_t)sqlite3_column_int64(select, 0);
    err = store_blob(select, 1, store->head.root, sizeof store->head.root);
    if (err == CHOIR_OK)
        err = store_blob(select, 2, store->head.signature, sizeof store->head.signature);
    if (err == CHOIR_OK)
        err = head_check(&store->head, store->scope, store->public_key);
    tree_root(&store->tree, root);
    if (err == CHOIR_OK &&
        (store->head.size != store->tree.size || memcmp(root, store->head.root, HASH_BYTES) != 0))
        err = CHOIR_ERR_FORGED;
out:
    sqlite3_finalize(select);
    return err == CHOIR_ERR_MISSING ? CHOIR_ERR_FORGED : err;
}

// The tree is built from the entries; a gap in their numbers or an unreadable one is found.
static enum choir_err read_tree(struct store *store)
{
    sqlite3_stmt *select = NULL;
    enum choir_err err =
        store_prepare(store, "SELECT idx, salt, body FROM entry ORDER BY idx", &select);

    while (err == CHOIR_OK) {
        uint8_t salt[ENTRY_SALT_BYTES], leaf[HASH_BYTES];

        err = store_step(store, select);
        if (err != CHOIR_OK)
            break;
        if ((uint64_t)sqlite3_column_int64(select, 0) != store->tree.size ||
            sqlite3_column_bytes(select, 2) > ENTRY_BYTES_MAX)
            err = CHOIR_ERR_FORGED;
        if (err == CHOIR_OK)
            err = store_blob(select, 1, salt, sizeof salt);
        if (err != CHOIR_OK)
            break;
        entry_leaf(leaf, salt, sqlite3_column_blob(select, 2),
                   (size_t)sqlite3_column_bytes(select, 2));
        tree_push(&store->tree, leaf);
    }
    sqlite3_finalize(select);
    return err == CHOIR_ERR_MISSING ? CHOIR_OK : err;
}

static enum choir_err check_pages(struct store *store)
{
    sqlite3_stmt *check = NULL;
    enum choir_err err = store_prepare(store, "PRAGMA quick_check(1)", &check);

    if (err == CHOIR_OK)
        err = store_step(store, check);
    if (err == CHOIR_OK && strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0)
        err = CHOIR_ERR_FORGED;
    sqlite3_finalize(check);
    return err;
}

static enum choir_err check_stamp(struct store *store)
{
    int64_t version = 0, application = 0;
    enum choir_err err = number_of(store, "PRAGMA user_version", &version);

    if (err == CHOIR_OK)
        err = number_of(store, "PRAGMA application_id", &application);
    if (err != CHOIR_OK)
        return err;
    if (version == 0)
        return CHOIR_ERR_MISSING; // its making was cut off before anything was in it
    return version == SCHEMA_VERSION && application == APPLICATION_ID ? CHOIR_OK : CHOIR_ERR_FORGED;
}

enum choir_err store_open(const char *path, enum entry_scope scope, struct store *store)
{
    enum choir_err err;

    memset(store, 0, sizeof *store);
    store->scope = scope;
    err = connect_to(path, 0, store);
    if (err == CHOIR_ERR_IO && sqlite3_extended_errcode(store->db) == SQLITE_CANTOPEN &&
        sqlite3_system_errno(store->db) == ENOENT)
        return CHOIR_ERR_MISSING;
    if (err == CHOIR_OK)
        err = check_stamp(store);
    if (err == CHOIR_OK)
        err = check_pages(store);
    if (err == CHOIR_OK)
        err = read_owner(store);
    if (err == CHOIR_OK)
        err = read_tree(store);
    if (err == CHOIR_OK)
        err = read_head(store);
    store->pending = store->tree;
    return err;
}

void store_close(struct store *store)
{
    sqlite3_close(store->db);
    rng_wipe(store, sizeof *store);
}

void store_fold(struct store *store)
{
    if (!store->broken)
        (void)from_code(store, sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                                         NULL, NULL));
}

enum choir_err store_settle(struct store *store)
{
    uint8_t seeded[1];
    enum choir_err err;

    sqlite3_randomness(sizeof seeded, seeded); // reads the system's source once, at first use
    store_fold(store);
    err = store_begin(store);
    if (err != CHOIR_OK)
        return err;
    err = run(store, "UPDATE owner SET scope = scope");
    return err == CHOIR_OK ? store_commit(store) : store_undo(store, err);
}

enum choir_err store_each(struct store *store, store_visit *visit, void *context)
{
    sqlite3_stmt *select = NULL;
    struct entry *entry = malloc(sizeof *entry);
    enum choir_err err = entry == NULL ? CHOIR_ERR_MEMORY : CHOIR_OK;

    if (err == CHOIR_OK)
        err = store_prepare(store, "SELECT idx, body FROM entry ORDER BY idx", &select);
    while (err == CHOIR_OK) {
        err = store_step(store, select);
        if (err != CHOIR_OK)
            break;
        err = entry_decode(sqlite3_column_blob(select, 1), (size_t)sqlite3_column_bytes(select, 1),
                           entry);
        if (err != CHOIR_OK)
            err = CHOIR_ERR_FORGED;
        else
            err = visit(context, (uint64_t)sqlite3_column_int64(select, 0), entry);
        if (err == CHOIR_ERR_MISSING) // not to be taken for the end of the rows
            err = CHOIR_ERR_FORMAT;
    }
    sqlite3_finalize(select);
    free(entry);
    return err == CHOIR_ERR_MISSING ? CHOIR_OK : err;
}

/* What store_export() gathers: the lines point into `arena`. */
struct gathered {
    struct ledgerfile file;
    uint8_t *arena;
};

static enum choir_err gather_room(struct store *store, struct gathered *all)
{
    int64_t bytes = 0, heads = 0;
    enum choir_err err =
        number_of(store, "SELECT coalesce(sum(length(salt) + length(body)), 0) FROM entry", &bytes);

    if (err == CHOIR_OK)
        err = number_of(store, "SELECT count(*) FROM head", &heads);
    if (err != CHOIR_OK)
        return err;
    if (bytes < 0 || bytes > LEDGERFILE_BYTES_MAX || heads < 1 || heads > LEDGERFILE_ENTRIES_MAX)
        return CHOIR_ERR_REFUSED;
    all->arena = malloc((size_t)bytes + 1);
    all->file.lines = calloc((size_t)store->tree.size + 1, sizeof *all->file.lines);
    all->file.heads = calloc((size_t)heads, sizeof *all->file.heads);
    all->file.n_heads = (size_t)heads;
    if (all->arena == NULL || all->file.lines == NULL || all->file.heads == NULL)
        return CHOIR_ERR_MEMORY;
    return CHOIR_OK;
}

static enum choir_err gather_lines(struct store *store, struct gathered *all)
{
    sqlite3_stmt *select = NULL;
    uint8_t *at = all->arena;
    enum choir_err err = store_prepare(store, "SELECT salt, body FROM entry ORDER BY idx", &select);

    while (err == CHOIR_OK) {
        struct ledgerfile_line *line = &all->file.lines[all->file.n_lines];

        err = store_step(store, select);
        if (err != CHOIR_OK)
            break;
        line->len = (size_t)sqlite3_column_bytes(select, 1);
        err = store_blob(select, 0, at, ENTRY_SALT_BYTES);
        if (err == CHOIR_OK)
            err = store_blob(select, 1, at + ENTRY_SALT_BYTES, line->len);
        line->salt = at;
        line->bytes = at + ENTRY_SALT_BYTES;
        at += ENTRY_SALT_BYTES + line->len;
        all->file.n_lines++;
    }
    sqlite3_finalize(select);
    return err == CHOIR_ERR_MISSING ? CHOIR_OK : err;
}

static enum choir_err gather_heads(struct store *store, struct gathered *all)
{
    sqlite3_stmt *select = NULL;
    enum choir_err err =
        store_prepare(store, "SELECT size, root, signature FROM head ORDER BY size", &select);

    for (size_t i = 0; err == CHOIR_OK && i < all->file.n_heads; i++) {
        struct head *head = &all->file.heads[i];

        err = store_step(store, select);
        if (err == CHOIR_OK)
            err = store_blob(select, 1, head->root, sizeof head->root);
        if (err == CHOIR_OK)
            err = store_blob(select, 2, head->signature, sizeof head->signature);
        if (err == CHOIR_OK)
            head->size = (uint64_t)sqlite3_column_int64(select, 0);
    }
    sqlite3_finalize(select);
    return err;
}

enum choir_err store_export(struct store *store, int dir_fd, const char *path)
{
    struct gathered all = {.file.scope = store->scope};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum choir_err err = gather_room(store, &all);

    if (err == CHOIR_OK)
        err = gather_lines(store, &all);
    if (err == CHOIR_OK)
        err = gather_heads(store, &all);
    memcpy(all.file.public_key, store->public_key, sizeof all.file.public_key);
    if (err == CHOIR_OK)
        err = ledgerfile_write(&all.file, &bytes, &len);
    if (err == CHOIR_OK)
        err = file_replace(dir_fd, path, 0644, bytes, len);
    free(bytes);
    free(all.arena);
    ledgerfile_free(&all.file);
    return err;
}
