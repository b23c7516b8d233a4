#include <string.h>

#include "wire/message.h"

// The place of the first id that is not below `id`.
static size_t place(const struct site_set *set, uint32_t id)
{
    size_t low = 0;
    size_t high = set->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->id[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool site_set_has(const struct site_set *set, uint32_t id)
{
    size_t at = place(set, id);

    return at < set->n && set->id[at] == id;
}

bool site_set_add(struct site_set *set, uint32_t id)
{
    size_t at = place(set, id);

    if (id == 0 || set->n == MESSAGE_SITES_MAX || (at < set->n && set->id[at] == id))
        return false;
    memmove(set->id + at + 1, set->id + at, (set->n - at) * sizeof set->id[0]);
    set->id[at] = id;
    set->n++;
    return true;
}

bool site_set_within(const struct site_set *part, const struct site_set *whole)
{
    for (size_t i = 0; i < part->n; i++)
        if (!site_set_has(whole, part->id[i]))
            return false;
    return true;
}
