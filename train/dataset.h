/* dataset - the records of one site as a dense matrix and 0/1 labels.
 *
 * Read once, strictly, by a public schema: a value that the schema does not allow is an error
 * and is never repaired. The message names the row, the column and the allowed range, never
 * goes beyond the site's own screen, and does not repeat the value.
 */
#ifndef CHOIR_TRAIN_DATASET_H
#define CHOIR_TRAIN_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "train/schema.h"

enum { DATASET_MAX_ROWS = 1 << 28 };

struct dataset {
    float *x;    // [n x d], row-major, 64-byte aligned
    float *y;    // [n], 0 or 1 (class index for softmax benchmarks)
    size_t n, d; // records, features
};

/* Zero-based numbers of data rows (the header is not counted), strictly ascending. */
struct dataset_rows {
    uint32_t *at;
    size_t n;
};

/* Reads one number per line; blank lines and lines that begin with # are skipped; any order,
 * repeated numbers refused. Reads at most 64 MiB. On CHOIR_OK the caller frees with
 * dataset_rows_free(). Fails with CHOIR_ERR_FORMAT (diag says the line), CHOIR_ERR_IO or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err dataset_read_rows(int fd, struct dataset_rows *out,
                                                  struct choir_diag *diag);
void dataset_rows_free(struct dataset_rows *rows);

/* Reads CSV (RFC 4180 quoting, LF or CRLF, gzip recognised by its first bytes) from the
 * beginning of `fd`, which stays open and is the caller's. `schema` has passed schema_check().
 * With `rows` (may be NULL) only those data rows are taken and judged; a number beyond the end
 * of the file is an error. `name` stands for the file in diag->place.
 * On CHOIR_OK *out is the caller's, freed by dataset_free(). Fails with CHOIR_ERR_FORMAT
 * (diag: "data row R, column NAME: why, allowed range"; R is zero-based), CHOIR_ERR_IO or
 * CHOIR_ERR_MEMORY. diag may be NULL. */
CHOIR_MUST_CHECK enum choir_err dataset_read(int fd, const char *name, const struct schema *schema,
                                             const struct dataset_rows *rows, struct dataset **out,
                                             struct choir_diag *diag);

/* An all-zero one of n x d, for tests and benchmarks. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err dataset_new(size_t n, size_t d, struct dataset **out);

/* Wipes and frees; NULL is allowed. */
void dataset_free(struct dataset *dataset);

#endif
