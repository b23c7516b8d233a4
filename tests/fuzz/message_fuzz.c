/* message_decode: the first byte is the kind, the rest the body. What decodes encodes the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct message message;
    static uint8_t again[MESSAGE_BODY_MAX];
    size_t again_len;

    if (len == 0 || message_decode(data[0], data + 1, len - 1, &message) != CHOIR_OK)
        return 0;
    if (message_encode(&message, again, sizeof again, &again_len) != CHOIR_OK ||
        again_len != len - 1 || memcmp(again, data + 1, again_len) != 0)
        abort();
    return 0;
}
