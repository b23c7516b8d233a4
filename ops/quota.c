#include "ops/quota.h"

bool quota_take(struct quota *quota, uint64_t now_ms, bool *last)
{
    if (now_ms - quota->began_ms >= QUOTA_WINDOW_MS) {
        quota->began_ms = now_ms;
        quota->n = 0;
    }
    if (quota->n < QUOTA_LINES)
        quota->n++;
    else
        quota->n = QUOTA_LINES + 1;
    *last = quota->n == QUOTA_LINES;
    return quota->n <= QUOTA_LINES;
}
