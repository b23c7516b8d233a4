/* locked - memory for secrets that live as long as a round.
 *
 * It has a guard page on either side, is kept out of core dumps and, as far as the limit on
 * locked memory allows, out of swap, and is wiped when it is freed. Each piece takes whole pages:
 * one for all secrets of a kind, not one for each.
 */
#ifndef CHOIR_CRYPTO_LOCKED_H
#define CHOIR_CRYPTO_LOCKED_H

#include <stddef.h>

/* `size` zeroed bytes, at least 1, aligned for any type; the caller's, to be given back with
 * locked_free(). NULL if there is no memory. */
void *locked_new(size_t size);

/* Wipes and frees; NULL is allowed. */
void locked_free(void *memory);

#endif
