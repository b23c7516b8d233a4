/* attack - the steps of an attack, in few words: cheat.h with sets by value. */
#ifndef CHOIR_TESTS_ROUND_ATTACK_H
#define CHOIR_TESTS_ROUND_ATTACK_H

#include "cheat.h"

void attack_begin(uint32_t n, uint32_t n_honest, uint32_t collusion);

/* Set-up of a test: four honest sites and one accomplice, c = 1: T = 4, U_min = 4. */
int attack_five(void **state);
int attack_leave(void **state);

void attack_propose(struct view *view, uint64_t round, uint32_t attempt, struct site_set v0);
/* An honest attempt until the vectors are out. */
void attack_to_masked(struct view *view);
void attack_survivors(struct view *view, struct site_set u, struct site_set told);
void attack_consents(struct view *view, struct site_set of, struct site_set told);
void attack_play(struct view *view, struct site_set u);

/* True if the attacker works out the update of one site, or the sum of some. */
bool attack_learns(const struct view *view, struct site_set sites);
/* How often this was said in the attempt, by anybody. */
size_t attack_said(const struct view *view, enum message_kind kind);

#endif
