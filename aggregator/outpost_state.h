/* outpost_state - the inside of a relay, shared by the files outpost*.c and by nobody else. */
#ifndef CHOIR_AGGREGATOR_OUTPOST_STATE_H
#define CHOIR_AGGREGATOR_OUTPOST_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/intake.h"
#include "aggregator/larder.h"
#include "aggregator/lookout.h"
#include "aggregator/outpost.h"
#include "aggregator/retention.h"
#include "aggregator/tally.h"
#include "ops/quota.h"
#include "wire/link.h"
#include "wire/relay.h"
#include "wire/transfer.h"

/* What is here of one site. */
struct held {
    bool any;     // a vector of this attempt was announced
    bool whole;   // complete, checked, durable
    bool came;    // chunks came in since the last HAVE
    bool waiting; // for the model `wanted`, which is not here yet
    uint8_t root[HASH_BYTES];
    uint8_t wanted[HASH_BYTES];
};

struct outpost {
    const struct aggregator_config *config;
    struct roster roster;
    const struct roster_relay *self; // in roster
    uint8_t *secret;                 // SECRETS_PEER_BYTES, locked memory
    struct link *sites, *aggregator; // listening, connecting
    struct intake *intake;
    struct larder *larder;
    struct retention *retention;
    struct lookout lookout;
    int folder;                             // of the state
    struct held held[ROSTER_SITES_MAX + 1]; // by site
    uint64_t have_ms;                       // when HAVE was sent last
    bool have_due;                          // something became whole since
    struct tally tally;                     // the newest sum
    struct sender *sender;                  // of it; NULL: none
    struct relay_letter answer;             // to `answer.question`; round 0: none yet
    bool said_up;                           // the aggregator's connection, as the log knows it
    uint64_t pumped_ms, expired_ms;
    struct quota lines[ROSTER_SITES_MAX + 1]; // of the log, by site; 0: of strangers
    // too large for the stack
    struct relay_letter letter;
    struct relay_letter sum; // the newest question that was answered; round 0: none yet
    struct site_set receivers, kept;
    uint8_t roots[MESSAGE_SITES_MAX][HASH_BYTES];
    uint8_t bulk[BULK_BYTES_MAX];
    uint8_t sealed[RELAY_LETTER_MAX];
};

/* outpost.c: may one more line about what this site did stand in the log? */
bool outpost_may_log(struct outpost *outpost, uint32_t site);

/* outpost.c: a control letter for the aggregator, if it can be sent now. */
void outpost_send_up(struct outpost *outpost, const uint8_t *bytes, size_t len);

/* outpost_up.c: everything that came from the aggregator. Fails with CHOIR_ERR_IO or
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err outpost_take_up(struct outpost *outpost,
                                                const struct link_event *event);
/* outpost_up.c: HAVE when it is due, chunks of models and sums. */
CHOIR_MUST_CHECK enum choir_err outpost_pump_up(struct outpost *outpost, uint64_t now_ms);
/* outpost_up.c: the letters of the aggregator that are kept on disk: round and question. */
CHOIR_MUST_CHECK enum choir_err outpost_recall(struct outpost *outpost);

/* outpost_sum.c: a question of the aggregator; also the one that was kept on disk, which is not
 * answered then. Fails with CHOIR_ERR_IO or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err outpost_take_question(struct outpost *outpost, const uint8_t *bytes,
                                                      size_t len);
CHOIR_MUST_CHECK enum choir_err outpost_recall_sum(struct outpost *outpost);
/* outpost_sum.c: the newest sum is served from its beginning. */
CHOIR_MUST_CHECK enum choir_err outpost_serve_sum(struct outpost *outpost);
/* outpost_sum.c: the round was closed: its vectors are kept for auditors. */
void outpost_keep_vectors(struct outpost *outpost);
/* outpost_up.c: signs and sends one of our own letters; lost ones are said again. */
CHOIR_MUST_CHECK enum choir_err outpost_send(struct outpost *outpost,
                                             const struct relay_letter *letter);
/* outpost_up.c: one line about a letter that is not obeyed. */
void outpost_reject(struct outpost *outpost, const char *why);

/* outpost.c: serves what the larder has to everybody who waits for it. */
CHOIR_MUST_CHECK enum choir_err outpost_serve_model(struct outpost *outpost);

#endif
