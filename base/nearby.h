/* nearby - the word that a misspelt one was probably meant to be. */
#ifndef CHOIR_BASE_NEARBY_H
#define CHOIR_BASE_NEARBY_H

#include <stddef.h>

/* The one of names[0..n) with the fewest edits (a letter more, less or other, or two adjacent
 * ones swapped), if these are at most two and less than half of the letters of `word`; NULL if
 * there is none. The first one wins a tie. */
const char *nearby(const char *word, const char *const *names, size_t n);

#endif
