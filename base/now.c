#include "base/now.h"

#include <time.h>

uint64_t now_ms(void)
{
    struct timespec time = {0};

    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

uint64_t now_unix(void)
{
    struct timespec time = {0};

    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec;
}
