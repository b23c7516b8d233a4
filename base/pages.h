/* pages - arrays as large as a model, in pages that suit them.
 *
 * A model of a hundred million parameters touched for the first time in pages of 4 KiB costs the
 * kernel more time than a training step. Where it lets programs ask (transparent huge pages by
 * madvise(2)), arrays from PAGES_LARGE on ask. Nothing changes but time.
 */
#ifndef CHOIR_BASE_PAGES_H
#define CHOIR_BASE_PAGES_H

#include <stddef.h>

enum { PAGES_LARGE = 16 << 20 }; // bytes

/* calloc(), freed with free(). NULL when out of memory. */
void *pages_calloc(size_t n, size_t size);

#endif
