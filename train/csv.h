/* csv - records of comma-separated values, strictly (RFC 4180).
 *
 * Lines end with LF or CRLF, the last one also with the end of the file. A field may be quoted
 * ("" inside stands for one quote) and then hold commas and line ends. A byte order mark at the
 * beginning is skipped. A zero byte, a lone CR, a quote within an unquoted field and text after
 * a closing quote are errors.
 */
#ifndef CHOIR_TRAIN_CSV_H
#define CHOIR_TRAIN_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "train/textfile.h"

enum { CSV_MAX_RECORD = 64 << 10 }; // bytes of one record, quotes and line end included

struct csv;

/* `textfile` is borrowed for the reader's life. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err csv_open(struct textfile *textfile, struct csv **out);
/* Wipes and frees; NULL is allowed. */
void csv_close(struct csv *csv);

/* Reads the next record; *more is false, and there is none, at the end of the file. Fails with
 * CHOIR_ERR_FORMAT (csv_fault() says why), or as textfile_result() does. */
CHOIR_MUST_CHECK enum choir_err csv_next(struct csv *csv, bool *more);

/* Of the record last read: fields, at least 1, each zero-terminated, valid until csv_next(). */
size_t csv_n_fields(const struct csv *csv);
const char *csv_field(const struct csv *csv, size_t i);

/* Why csv_next() failed: a fixed phrase that repeats nothing from the file. */
const char *csv_fault(const struct csv *csv);

#endif
