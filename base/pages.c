#include "base/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void *pages_calloc(size_t n, size_t size)
{
    void *array = calloc(n, size);
    uintptr_t first, end;

    if (array == NULL || size == 0 || n < PAGES_LARGE / size)
        return array;
    // An allocation of this size has pages of its own; what the hint covers is inside of it.
    first = ((uintptr_t)array + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    end = ((uintptr_t)array + n * size) / HUGE_PAGE * HUGE_PAGE;
    if (first < end)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE); // a hint: without it all works
    return array;
}
