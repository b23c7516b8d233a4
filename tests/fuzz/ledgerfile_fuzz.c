/* Reading is bounded, what is read writes to the same bytes, and checking never crashes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledgerfile.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ledgerfile file;
    struct choir_diag diag;
    uint8_t *again = NULL;
    size_t again_len = 0;

    if (ledgerfile_read(data, len, &file) != CHOIR_OK)
        return 0;
    if (ledgerfile_write(&file, &again, &again_len) != CHOIR_OK || again_len != len ||
        memcmp(again, data, len) != 0)
        abort();
    free(again);
    if (ledgerfile_check(&file, &diag) == CHOIR_OK && file.n_lines == 0)
        abort();
    ledgerfile_free(&file);
    return 0;
}
