/* fake - envelopes without signatures, for tests of the state machines.
 *
 * The fields of a real envelope in their order, less magic, epoch and signature. fake_open() is
 * the incoming_open of tests.
 */
#ifndef CHOIR_TESTS_ROUND_FAKE_H
#define CHOIR_TESTS_ROUND_FAKE_H

#include <stddef.h>
#include <stdint.h>

#include "round/incoming.h"

enum { FAKE_HEAD = 2 + 16 + 8 + 4 + 4 + 8 + 32 };

/* Writes the envelope of message->kind .. message->transcript and its body; returns its length.
 * `sequence` makes repeated messages differ, as real ones do. */
size_t fake_seal(const struct incoming *message, uint64_t sequence, uint8_t *to, size_t max);

enum choir_err fake_open(const void *context, const uint8_t *bytes, size_t len,
                         struct incoming *out);

#endif
