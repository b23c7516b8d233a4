/* What decodes encodes to the same bytes, and the accountant takes it without a NaN. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/event.h"
#include "privacy/rdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct privacy_event event;
    struct view view = view_over(data, len);
    uint8_t again[EVENT_BYTES];
    struct buf buf = buf_over(again, sizeof again);
    double epsilon = 0.0;

    event_decode(&view, &event);
    if (!view_done(&view))
        return 0;
    event_encode(&buf, &event);
    if (!buf_ok(&buf) || buf.len != len || memcmp(again, data, len) != 0)
        abort();
    if (rdp_epsilon(&event, 1, 1e-5, &epsilon) == CHOIR_OK && !(epsilon >= 0.0))
        abort();
    return 0;
}
