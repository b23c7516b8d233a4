#include "attack.h"

void attack_begin(uint32_t n, uint32_t n_honest, uint32_t collusion)
{
    const struct cheat_terms terms = {
        .n = n, .n_honest = n_honest, .collusion = collusion, .suite = MASK_AES256, .cohort = 2};

    cheat_begin(&terms);
}

int attack_five(void **state)
{
    (void)state;
    attack_begin(5, 4, 1);
    return 0;
}

int attack_leave(void **state)
{
    (void)state;
    cheat_end();
    return 0;
}

bool attack_learns(const struct view *view, struct site_set sites)
{
    struct lanes found, truth;

    if (!cheat_learns(view, &sites, &found))
        return false;
    truth = cheat_truth(view, &sites);
    return cheat_same(&found, &truth);
}

size_t attack_said(const struct view *view, enum message_kind kind)
{
    size_t n = 0;

    for (uint32_t id = 1; id < CHEAT_IDS; id++)
        n += cheat_said(view, id, kind);
    return n;
}

void attack_propose(struct view *view, uint64_t round, uint32_t attempt, struct site_set v0)
{
    cheat_propose(view, round, attempt, &v0);
}

void attack_to_masked(struct view *view)
{
    const struct site_set all = view->open.sites;

    cheat_open(view, &all);
    cheat_adverts(view, &all, &all);
    cheat_shares(view, &all, &all);
}

void attack_survivors(struct view *view, struct site_set u, struct site_set told)
{
    cheat_survivors(view, &u, &told);
}

void attack_consents(struct view *view, struct site_set of, struct site_set told)
{
    cheat_consents(view, &of, &told);
}

void attack_play(struct view *view, struct site_set u)
{
    cheat_play(view, &u);
}
