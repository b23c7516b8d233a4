/* gate - decides which keys may connect: the ZAP handler (ZeroMQ RFC 27) of this process.
 *
 * Without a handler CURVE lets in any key. This one admits the transport keys of the roster,
 * while the roster is current, and writes the site's id and key into the metadata of its
 * connection, where gate_site() finds them with each message. A process has one gate; it is
 * served by the thread of its link (link.h).
 */
#ifndef CHOIR_WIRE_GATE_H
#define CHOIR_WIRE_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/roster.h"

struct gate;

enum { GATE_ENFORCE = 93 }; // ZMQ_ZAP_ENFORCE_DOMAIN, hidden in zmq.h 4.3.4 behind a draft guard

/* The domain that listening sockets name, so that they ask this handler. */
#define GATE_DOMAIN "choir"

/* `roster` is borrowed. Fails with CHOIR_ERR_IO (a handler is there already) or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err gate_open(const struct roster *roster, struct gate **out);
void gate_close(struct gate *gate);

/* Another roster from now on; borrowed. */
void gate_set_roster(struct gate *gate, const struct roster *roster);

/* The ZeroMQ socket to wait on for reading. */
void *gate_socket(const struct gate *gate);

/* Answers every waiting request; returns how many were turned away. */
size_t gate_answer(struct gate *gate);

/* The site behind `user_id`, as the connection's metadata has it (may be NULL): NULL unless
 * that site still is on the current roster with that key. */
const struct roster_site *gate_site(const struct gate *gate, const char *user_id);

#endif
