/* What decodes encodes to the same bytes: there is one encoding of an entry. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/entry.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct entry entry;
    static uint8_t again[ENTRY_BYTES_MAX];
    size_t again_len = 0;

    if (entry_decode(data, len, &entry) != CHOIR_OK)
        return 0;
    if (entry_encode(&entry, again, sizeof again, &again_len) != CHOIR_OK || again_len != len ||
        memcmp(again, data, len) != 0)
        abort();
    return 0;
}
