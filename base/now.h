/* now - the two clocks: durations from a clock that never jumps, dates from one that may. */
#ifndef CHOIR_BASE_NOW_H
#define CHOIR_BASE_NOW_H

#include <stdint.h>

/* Milliseconds since boot, suspended time included (CLOCK_BOOTTIME): for deadlines. */
uint64_t now_ms(void);

/* Seconds since 1970 (CLOCK_REALTIME): for dates that people read and for expiry. */
uint64_t now_unix(void);

#endif
