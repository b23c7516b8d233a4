/* textfile - the bytes of an open file from its beginning, unpacked if it is gzip.
 *
 * Reads by pread, so the descriptor's position is neither used nor moved. A gzip file is known
 * by its first two bytes; several members in a row are one text (RFC 1952, 2.2).
 */
#ifndef CHOIR_TRAIN_TEXTFILE_H
#define CHOIR_TRAIN_TEXTFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct textfile;

/* `fd` is borrowed for the textfile's life. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err textfile_open(int fd, struct textfile **out);
/* Wipes its buffers and frees; NULL is allowed. */
void textfile_close(struct textfile *textfile);

/* The next byte, 0..255, or -1 at the end or after a failure. */
int textfile_byte(struct textfile *textfile);

/* CHOIR_OK if all went well so far; CHOIR_ERR_FORMAT for gzip that is corrupt or cut off,
 * CHOIR_ERR_IO for a failed read. */
CHOIR_MUST_CHECK enum choir_err textfile_result(const struct textfile *textfile);

#endif
