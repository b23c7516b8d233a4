/* cheat_state - what the files of the cheating aggregator share.
 *
 * cheat.c: honest sites, their homes, what was heard. cheat_view.c: the stories it tells.
 * cheat_loot.c: accomplices, and what can be worked out. */
#ifndef CHOIR_TESTS_ROUND_CHEAT_STATE_H
#define CHOIR_TESTS_ROUND_CHEAT_STATE_H

#include "cheat.h"
#include "crypto/agree.h"
#include "crypto/shamir.h"
#include "crypto/sign.h"

enum {
    ROUNDS = 8,
    SPOKEN_MAX = 512,
    BODY_BYTES = 2048,
    LATER_MAX = 16,
    DEAD_MODEL = 0xdd,
};

/* Something that a site or an accomplice has said. */
struct spoken {
    uint32_t who;
    enum message_kind kind;
    uint64_t round;
    uint32_t attempt;
    uint8_t transcript[HASH_BYTES];
    uint8_t body[BODY_BYTES];
    size_t len;
    uint8_t signed_bytes[BODY_BYTES + SIGN_BYTES];
    size_t signed_len;
    struct lanes vector; // beside a MASKED
};

/* An honest site and what surrounds it. */
struct house {
    uint32_t id;
    struct site *site;
    uint8_t n_starts;
    struct mark mark; // stored
    struct site_event later[LATER_MAX];
    size_t n_later;
    bool trained[ROUNDS];
    uint8_t update[ROUNDS][CHEAT_VECTOR_BYTES]; // charged
    uint8_t sent[CHEAT_VECTOR_BYTES];           // what left the house last
    enum message_code refused;
};

/* Whose secrets the attacker knows, for the attempt that began with `r0`. */
struct accomplice {
    bool ready, has_mask_key, has_share_key;
    uint8_t r0[HASH_BYTES];
    uint8_t rho[SHAMIR_SCALAR_BYTES], b[SHAMIR_SCALAR_BYTES];
    uint8_t mask_secret[CURVE_KEY_BYTES], mask_key[CURVE_KEY_BYTES];
    uint8_t share_secret[CURVE_KEY_BYTES], share_key[CURVE_KEY_BYTES];
    uint8_t given_mask_key[CURVE_KEY_BYTES], given_share_key[CURVE_KEY_BYTES];
};

struct cheat {
    struct cheat_terms terms;
    uint64_t now_ms;
    uint8_t public_key[CHEAT_IDS][SIGN_PUBLIC_BYTES], secret_key[CHEAT_IDS][SIGN_SECRET_BYTES];
    bool impersonated[CHEAT_IDS];
    struct house house[CHEAT_IDS];
    struct accomplice accomplice[CHEAT_IDS];
    struct spoken spoken[SPOKEN_MAX];
    size_t n_spoken;
};

extern struct cheat cheat;

/* cheat.c */
bool cheat_is_honest(uint32_t id);
/* The newest of its kind in the attempt of `view`; with this transcript, if one is given. */
struct spoken *cheat_find(const struct view *view, uint32_t id, enum message_kind kind,
                          const uint8_t *transcript);
/* The incoming_open of the sites. */
enum choir_err cheat_open_signed(const void *context, const uint8_t *bytes, size_t len,
                                 struct incoming *out);
/* Puts the envelope around the body of `spoken`. */
void cheat_sign(struct spoken *spoken);
/* A message of the aggregator reaches honest site `to`. */
void cheat_deliver(uint32_t to, const struct incoming *message);
/* Signs and keeps a message of message->sender. */
struct spoken *cheat_keep(const struct incoming *message);
void cheat_happens(struct house *house, const struct site_event *first);

/* cheat_loot.c: accomplice `id` says its part of `view` unless it has. */
void cheat_accomplice_says(const struct view *view, uint32_t id, enum message_kind kind);

#endif
