#include "crypto/locked.h"

#include <stdint.h>

#include <sodium.h>

enum { ALIGNMENT = _Alignof(max_align_t) };

void *locked_new(size_t size)
{
    void *memory;

    if (size > SIZE_MAX - ALIGNMENT || sodium_init() < 0) // it measures the pages once
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; // the end touches the guard page
    memory = sodium_malloc(size);
    if (memory != NULL)
        sodium_memzero(memory, size); // it comes filled, but not with zeros
    return memory;
}

void locked_free(void *memory)
{
    sodium_free(memory);
}
