/* role - how a vault or a courier comes to life: started by the supervisor with two descriptors,
 * handed the passphrase, and told to stop by the end of the supervisor's socket.
 */
#ifndef CHOIR_NODE_ROLE_H
#define CHOIR_NODE_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/keyfile.h"
#include "node/cohort.h"
#include "node/membership.h"
#include "round/site.h"

enum {
    ROLE_SUPERVISOR = 3, // descriptor: channel to the supervisor
    ROLE_PEER = 4,       // descriptor: channel between vault and courier
    ROLE_EXIT_AGAIN = 1, // exit status: failed, may be started again
    ROLE_EXIT_FINAL = 3, // exit status: cannot run as things are; a person must act
    ROLE_MAGIC = 0x454c4f52,
    ROLE_TEXT_MAX = 512,
};

/* The first message of the supervisor. */
struct role_secret {
    uint32_t magic;
    char passphrase[KEYFILE_PASSPHRASE_MAX + 1];
};

/* What a courier tells the supervisor, whenever it changes. */
struct role_report {
    uint32_t magic;
    bool ready; // sealed and running
    struct site_status status;
    struct cohort cohort;      // of the plan that was accepted last
    char waits[ROLE_TEXT_MAX]; // why nothing happens, for the operator; "" if it does
};

struct role {
    struct membership member;
    char *passphrase; // wiped and NULL after role_forget()
    int scratch;      // a file that came with the secret, or -1
};

/* Seals the process against its user, reads the settings and takes the passphrase. What fails is
 * logged here. On CHOIR_OK to be released. */
CHOIR_MUST_CHECK enum choir_err role_begin(const char *site_path, bool log_json, struct role *out);
void role_forget(struct role *role); // the passphrase
void role_release(struct role *role);

/* The processes' main functions; they return an exit status. */
int vault_role(const char *site_path, bool log_json);
int courier_role(const char *site_path, bool log_json);

#endif
