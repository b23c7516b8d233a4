#include "base/nearby.h"

#include <string.h>

enum { WORD_MAX = 64, EDITS_MAX = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Optimal string alignment distance: row i of the table needs the two rows before it.
static size_t edits(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    size_t rows[3][WORD_MAX + 1];

    if (n_a > WORD_MAX || n_b > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        const size_t *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        size_t *row = rows[i % 3];

        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = least(row[j], least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], two_before[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *nearby(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t fewest = EDITS_MAX + 1;

    for (size_t i = 0; i < n; i++) {
        size_t needed = edits(word, names[i]);

        if (needed < fewest && 2 * needed < strlen(word)) {
            fewest = needed;
            best = names[i];
        }
    }
    return best;
}
