/* gate - decides which keys may connect: the ZAP handler (ZeroMQ RFC 27) of this process.
 *
 * Without a handler CURVE lets in any key. This one admits the transport keys of those whom the
 * roster has connect here, while it is current: to the aggregator the relays and the sites that
 * have none, to a relay its sites. It writes the peer's id and key into the metadata of its
 * connection, where gate_peer() finds them with each message. A process has one gate; it is
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

/* For those who connect to `listener`: ROSTER_AGGREGATOR or a relay. `roster` is borrowed. Fails
 * with CHOIR_ERR_IO (a handler is there already) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err gate_open(const struct roster *roster, uint32_t listener,
                                          struct gate **out);
void gate_close(struct gate *gate);

/* Another roster from now on; borrowed. */
void gate_set_roster(struct gate *gate, const struct roster *roster);

/* The ZeroMQ socket to wait on for reading. */
void *gate_socket(const struct gate *gate);

/* Answers every waiting request; returns how many were turned away. */
size_t gate_answer(struct gate *gate);

/* The site or relay behind `user_id`, as the connection's metadata has it (may be NULL): 0 unless
 * it still is on the current roster, with that key, among those who connect here. */
uint32_t gate_peer(const struct gate *gate, const char *user_id);

#endif
