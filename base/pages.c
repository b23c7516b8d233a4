#include "base/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void *pages_calloc(size_t n, size_t size)
{
    uint8_t *array = calloc(n, size);
    size_t skip, covered;

    if (array == NULL || size == 0 || n < PAGES_LARGE / size)
        return array;
    // An allocation of this size has pages of its own; what the hint covers is inside of it.
    skip = (HUGE_PAGE - (uintptr_t)array % HUGE_PAGE) % HUGE_PAGE;
    covered = (n * size - skip) / HUGE_PAGE * HUGE_PAGE;
    if (covered > 0)
        (void)madvise(array + skip, covered, MADV_HUGEPAGE); // a hint: without it all works
    return array;
}
