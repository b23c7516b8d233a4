#include "round/quorum.h"

uint32_t quorum_threshold(uint32_t n, uint32_t c)
{
    return (n + c) / 2 + 1;
}

uint32_t quorum_minimum(uint32_t n, uint32_t c, uint32_t asked, bool masked)
{
    uint32_t hidden = !masked && n < c + QUORUM_HONEST_MIN ? n : c + QUORUM_HONEST_MIN;
    uint32_t minimum = quorum_threshold(n, c);

    if (hidden > minimum)
        minimum = hidden;
    return asked > minimum ? asked : minimum;
}
