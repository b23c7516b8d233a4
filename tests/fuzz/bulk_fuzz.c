/* Messages of the bulk channel: whatever is accepted is written again byte for byte. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/bulk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t again[BULK_BYTES_MAX];
    struct bulk_message message;
    size_t again_len = 0;

    if (bulk_decode(data, len, &message) != CHOIR_OK)
        return 0;
    bulk_encode(&message, again, sizeof again, &again_len);
    assert(again_len == len && memcmp(again, data, len) == 0);
    return 0;
}
