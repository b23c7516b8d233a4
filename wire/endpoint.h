/* endpoint - addresses of links: "tcp://host:port" and nothing else.
 *
 * libzmq knows more transports (and Debian's is linked with several); none of them is let in.
 */
#ifndef CHOIR_WIRE_ENDPOINT_H
#define CHOIR_WIRE_ENDPOINT_H

#include <stdbool.h>

#include "base/err.h"
#include "wire/roster.h"

/* tcp, a numeric host ("[...]" around IPv6) and a port number: opening it asks no resolver. */
bool endpoint_is_numeric(const char *endpoint);

/* As above; the host may also be "*" (all interfaces) and the port "*" (any free one). */
bool endpoint_is_listenable(const char *endpoint);

/* Turns "tcp://name:port" into "tcp://number:port", asking the system's resolver; a numeric one
 * stays. Fails with CHOIR_ERR_FORMAT (not tcp, no port) or CHOIR_ERR_MISSING (no such name). */
CHOIR_MUST_CHECK enum choir_err endpoint_resolve(const char *endpoint,
                                                 char to[static ROSTER_ENDPOINT_MAX]);

/* Where this machine itself reaches what it listens on: "any address" becomes loopback. */
void endpoint_local(const char *endpoint, char to[static ROSTER_ENDPOINT_MAX]);

#endif
