/* progress_fuzz - whatever a control socket carries, progress is read within its bounds, and what
 * was read is written back as the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ops/progress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct progress progress;
    static uint8_t again[PROGRESS_BYTES_MAX];
    char line[256];
    size_t again_len = 0;
    enum choir_err err = progress_decode(data, len, &progress);

    if (err != CHOIR_OK)
        return 0;
    progress_line(&progress, line, sizeof line, 80);
    assert(strlen(line) <= 80);
    err = progress_encode(&progress, again, sizeof again, &again_len);
    assert(err == CHOIR_OK && again_len == len);
    return 0;
}
