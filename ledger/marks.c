/* The marks of the round protocol that a restarted node must find again. */
#include <string.h>

#include "ledger/inside.h"
#include "ledger/ledger.h"

// Runs one statement that gives no rows, in a transaction of its own.
static enum choir_err change(struct ledger *ledger, sqlite3_stmt *statement)
{
    enum choir_err err = store_begin(&ledger->store);

    if (err != CHOIR_OK) {
        sqlite3_finalize(statement);
        return err;
    }
    err = store_finish(&ledger->store, statement);
    return err == CHOIR_OK ? store_commit(&ledger->store) : store_undo(&ledger->store, err);
}

// What is marked already for the run; zeros if nothing is.
static enum choir_err find_mark(struct ledger *ledger, const uint8_t *run, uint64_t *round,
                                uint64_t *attempt, uint64_t *unmasked)
{
    sqlite3_stmt *select = NULL;
    enum choir_err err = ledger_ask(
        ledger, "SELECT round, attempt, unmasked FROM mark WHERE run = ?", run, 0, &select);

    *round = *attempt = *unmasked = 0;
    if (err == CHOIR_OK)
        err = store_step(&ledger->store, select);
    if (err == CHOIR_OK) {
        *round = (uint64_t)sqlite3_column_int64(select, 0);
        *attempt = (uint64_t)sqlite3_column_int64(select, 1);
        *unmasked = (uint64_t)sqlite3_column_int64(select, 2);
    }
    sqlite3_finalize(select);
    return err == CHOIR_ERR_MISSING ? CHOIR_OK : err;
}

enum choir_err ledger_mark_attempt(struct ledger *ledger, const uint8_t run[static ENTRY_RUN_BYTES],
                                   uint64_t round, uint32_t attempt,
                                   const uint8_t r0[static HASH_BYTES])
{
    sqlite3_stmt *insert = NULL;
    uint64_t last_round, last_attempt, unmasked;
    enum choir_err err = find_mark(ledger, run, &last_round, &last_attempt, &unmasked);

    if (err != CHOIR_OK)
        return err;
    if (round < 1 || round > ENTRY_ROUND_MAX || attempt < 1)
        return CHOIR_ERR_FORMAT;
    if (round < last_round || (round == last_round && attempt <= last_attempt) || round <= unmasked)
        return CHOIR_ERR_REFUSED;
    err = ledger_ask(ledger,
                     "INSERT INTO mark(run, round, attempt, r0) VALUES(?1, ?2, ?3, ?4)"
                     " ON CONFLICT(run) DO UPDATE SET round = ?2, attempt = ?3, r0 = ?4",
                     run, round, &insert);
    if (err != CHOIR_OK)
        return err;
    sqlite3_bind_int64(insert, 3, attempt);
    sqlite3_bind_blob(insert, 4, r0, HASH_BYTES, SQLITE_TRANSIENT);
    return change(ledger, insert);
}

enum choir_err ledger_mark_unmask(struct ledger *ledger, const uint8_t run[static ENTRY_RUN_BYTES],
                                  uint64_t round)
{
    sqlite3_stmt *update = NULL;
    uint64_t last_round, last_attempt, unmasked;
    enum choir_err err = find_mark(ledger, run, &last_round, &last_attempt, &unmasked);

    if (err != CHOIR_OK)
        return err;
    if (round < 1 || last_round != round) // no attempt of this round was entered
        return CHOIR_ERR_REFUSED;
    if (unmasked == round)
        return CHOIR_OK;
    err = ledger_ask(ledger, "UPDATE mark SET unmasked = ?2 WHERE run = ?1", run, round, &update);
    return err == CHOIR_OK ? change(ledger, update) : err;
}

// The R3 consented to for this R2. CHOIR_ERR_MISSING if none was.
static enum choir_err find_consent(struct ledger *ledger, const uint8_t *r2, uint8_t *r3)
{
    sqlite3_stmt *select = NULL;
    enum choir_err err =
        store_prepare(&ledger->store, "SELECT r3 FROM consent WHERE r2 = ?", &select);

    if (err != CHOIR_OK)
        return err;
    sqlite3_bind_blob(select, 1, r2, HASH_BYTES, SQLITE_TRANSIENT);
    err = store_step(&ledger->store, select);
    if (err == CHOIR_OK)
        err = store_blob(select, 0, r3, HASH_BYTES);
    sqlite3_finalize(select);
    return err;
}

enum choir_err ledger_mark_consent(struct ledger *ledger, const uint8_t r2[static HASH_BYTES],
                                   const uint8_t r3[static HASH_BYTES])
{
    sqlite3_stmt *insert = NULL;
    uint8_t given[HASH_BYTES];
    enum choir_err err = find_consent(ledger, r2, given);

    if (err == CHOIR_OK)
        return memcmp(given, r3, sizeof given) == 0 ? CHOIR_OK : CHOIR_ERR_REFUSED;
    if (err != CHOIR_ERR_MISSING)
        return err;
    err = store_prepare(&ledger->store, "INSERT INTO consent VALUES(?, ?)", &insert);
    if (err != CHOIR_OK)
        return err;
    sqlite3_bind_blob(insert, 1, r2, HASH_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_blob(insert, 2, r3, HASH_BYTES, SQLITE_TRANSIENT);
    return change(ledger, insert);
}
