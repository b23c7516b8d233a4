/* quota - how many lines one source may put into the log: whoever can make us write does not get
 * to fill the disk.
 */
#ifndef CHOIR_OPS_QUOTA_H
#define CHOIR_OPS_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum { QUOTA_LINES = 100, QUOTA_WINDOW_MS = 10000 };

/* Zeroed at the start. */
struct quota {
    uint64_t began_ms;
    uint32_t n;
};

/* True for the first QUOTA_LINES in each QUOTA_WINDOW_MS. *last: this is the last one of them,
 * which should say that more are left out. */
bool quota_take(struct quota *quota, uint64_t now_ms, bool *last);

#endif
