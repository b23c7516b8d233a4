#include "aggregator/turns.h"

void turns_end(struct turns *turns, struct turn *turn)
{
    if (turn->has)
        turns->n--;
    *turn = (struct turn){.has = false};
}

bool turns_take(struct turns *turns, struct turn *turn, uint64_t now_ms)
{
    if (turn->has && now_ms >= turn->news_ms + TURN_IDLE_MS) {
        turns_end(turns, turn);
        turn->after_ms = now_ms + TURN_IDLE_MS;
    }
    if (turn->has)
        return true;
    if (turns->n >= TURNS_MAX || now_ms < turn->after_ms)
        return false;
    turns->n++;
    *turn = (struct turn){.has = true, .news_ms = now_ms};
    return true;
}

void turns_news(struct turn *turn, uint64_t now_ms)
{
    turn->news_ms = now_ms;
}
