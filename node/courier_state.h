/* courier_state - the inside of the courier, shared by courier*.c and by nobody else. */
#ifndef CHOIR_NODE_COURIER_STATE_H
#define CHOIR_NODE_COURIER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/cargo.h"
#include "node/courier.h"
#include "node/hatch.h"
#include "node/role.h"
#include "round/site.h"
#include "wire/message.h"

enum {
    ASKED_MAX = 32, // requests that the vault has not answered yet
    TOLD_MAX = 16,  // events that wait for the machine
};

/* A request on its way to the vault. */
struct asked {
    uint64_t serial, round;
    uint16_t kind;
    uint32_t attempt;
};

/* The plan that was offered last and is not approved: asked for again and again. */
struct offer {
    struct hatch_request request;
    int file; // -1: none
    uint64_t again_ms;
};

struct courier {
    struct courier_parts parts;
    struct site *machine;
    struct site_effects effects;
    struct site_event *told; // [TOLD_MAX], in locked memory for its fresh bytes
    size_t n_told;
    struct site_plan plan; // of a SITE_PLAN_CHECKED among them
    struct asked asked[ASKED_MAX];
    size_t n_asked;
    uint64_t serial, sequence, now_ms;
    struct hatch_answer vault; // the newest answer: head, data id
    uint8_t session[MESSAGE_NONCE_BYTES];
    struct offer offer;
    struct cargo *cargo;
    uint32_t suites; // bit k: mask suite k is known here
    struct {
        uint64_t round;
        uint32_t attempt;
    } masking; // the attempt whose masks are put on
    bool bulk_up;
    uint64_t n_parameters; // of the accepted plan
    struct cohort cohort;  //
    char waits[ROLE_TEXT_MAX];
    struct message *letter; // for JOIN and LEAVE
    uint8_t body[1024];
    uint8_t chunk[LINK_BULK_MAX];
};

/* courier_effects.c: carries out one effect of the machine. */
CHOIR_MUST_CHECK enum choir_err courier_carry_out(struct courier *courier,
                                                  const struct site_effect *effect);
/* courier_effects.c: notes the request, so that its answer finds its way; then sends it. */
CHOIR_MUST_CHECK enum choir_err courier_ask(struct courier *courier, struct hatch_request *request,
                                            uint32_t attempt, int file);
/* courier_effects.c: an event for the machine, after the step that goes on. */
void courier_tell(struct courier *courier, const struct site_event *event);
/* courier_effects.c: why it waits, for the status that the site's people read. */
void courier_say_waits(struct courier *courier, const char *text);

#endif
