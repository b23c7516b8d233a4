/* selftest - shows at start that a listening socket turns strangers away.
 *
 * CURVE lets everybody in when the handler is missing or not asked; that mistake is silent, so
 * it is looked for each time.
 */
#ifndef CHOIR_WIRE_SELFTEST_H
#define CHOIR_WIRE_SELFTEST_H

#include <stdint.h>

#include "base/err.h"
#include "crypto/curve.h"
#include "wire/gate.h"

/* Connects to `endpoint`, where this process listens, with a fresh key that nobody knows, and
 * serves `gate` meanwhile. CHOIR_OK if it is refused; fails with CHOIR_ERR_FORGED if it gets in,
 * CHOIR_ERR_IO if neither could be seen within five seconds, or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err selftest_gate(struct gate *gate, const char *endpoint,
                                              const uint8_t server_key[static CURVE_KEY_BYTES],
                                              struct choir_diag *diag);

#endif
