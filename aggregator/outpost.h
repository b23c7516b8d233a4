/* outpost - a relay: one event loop between some of the sites and the aggregator.
 *
 * Letters pass it unchanged, signed end to end; it serves models from a store of its own, takes
 * the masked vectors of its sites and hands up their sum when it is asked for it. It holds no
 * secret of any round and no plan: it sees masked vectors only, and takes none when masks are
 * off. What it checks: signatures and senders, the shape of announced vectors, the Merkle root
 * of what comes in, and that root again before a vector is added.
 */
#ifndef CHOIR_AGGREGATOR_OUTPOST_H
#define CHOIR_AGGREGATOR_OUTPOST_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "configs/aggregator.h"

struct outpost;

/* Opens roster, keys and state, listens for its sites and connects to the aggregator. `config`,
 * with relay set, is borrowed. diag says what is wrong and what to do. */
CHOIR_MUST_CHECK enum choir_err outpost_open(const struct aggregator_config *config,
                                             struct outpost **out, struct choir_diag *diag);
void outpost_close(struct outpost *outpost);

/* Serves until *stop is set by a signal. Fails with CHOIR_ERR_IO (disk; what is spooled is safe)
 * or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err outpost_run(struct outpost *outpost,
                                            const volatile sig_atomic_t *stop);

/* Makes the keys of the relay that the settings describe, sealed, and state_dir/NAME.pub, to be
 * put on the roster: its sites will connect to `control` and `bulk`. Prints where that file is and
 * its fingerprint. quick_keys: a seal that does not slow guessing down, for tests. Fails with
 * CHOIR_ERR_REFUSED if there are keys already; diag says what is wrong. */
CHOIR_MUST_CHECK enum choir_err outpost_make_keys(const struct aggregator_config *config,
                                                  const char *control, const char *bulk,
                                                  bool quick_keys, struct choir_diag *diag);

#endif
