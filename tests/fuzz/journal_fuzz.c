/* journal_decode, and gather_replay of what decodes. What decodes encodes the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "round/journal.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum choir_err open_nothing(const void *context, const uint8_t *bytes, size_t len,
                                   struct incoming *out)
{
    (void)context;
    (void)bytes;
    (void)len;
    (void)out;
    return CHOIR_ERR_FORGED;
}

static void replay(const uint8_t *data, size_t len)
{
    static struct gather_settings settings = {
        .roster = {.n = 3, .id = {1, 2, 3}}, .resend_ms = 1, .heartbeat_ms = 1};
    struct gather *gather = NULL;

    settings.open = open_nothing;
    if (gather_new(&settings, &gather) != CHOIR_OK)
        return;
    if (gather_replay(gather, data, len) == CHOIR_OK) {
        struct gather_event event = {.kind = GATHER_TICK, .now_ms = 1000000};
        struct gather_effects effects;

        if (gather_resume(gather, &event, &effects) == CHOIR_OK &&
            gather_step(gather, &event, &effects) != CHOIR_OK)
            abort();
    }
    gather_free(gather);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct journal_record record;
    static uint8_t again[JOURNAL_RECORD_MAX];
    size_t again_len;

    if (journal_decode(data, len, &record) != CHOIR_OK)
        return 0;
    if (journal_encode(&record, again, sizeof again, &again_len) != CHOIR_OK || again_len != len ||
        memcmp(again, data, len) != 0)
        abort();
    replay(data, len);
    return 0;
}
