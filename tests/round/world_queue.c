#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "world_state.h"

uint64_t world_draw(struct world *world)
{
    uint64_t z = world->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

bool world_chance(struct world *world, double p)
{
    return (double)(world_draw(world) >> 11) * 0x1p-53 < p;
}

uint64_t world_between(struct world *world, uint64_t low, uint64_t high)
{
    return low + world_draw(world) % (high - low + 1);
}

bool world_faulty(const struct world *world)
{
    return world->now < world->set.faults_ms;
}

void world_must(struct world *world, bool holds, const char *format, ...)
{
    va_list args;

    if (holds || world->result->broken)
        return;
    world->result->broken = true;
    va_start(args, format);
    vsnprintf(world->result->what, sizeof world->result->what, format, args);
    va_end(args);
}

// What the parties report, for people who look for the reason (CHOIR_TRACE=1).
void world_trace(const struct world *world, uint32_t who, const char *text)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    if (getenv("CHOIR_TRACE") != NULL)
        fprintf(stderr, "# %6llu %u: %s\n", (unsigned long long)world->now, (unsigned)who, text);
}

static bool before(const struct item *a, const struct item *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void world_push(struct world *world, struct item item, uint64_t delay)
{
    size_t i = world->n_items++;

    if (world->n_items > world->max_items) {
        world->max_items = 2 * world->max_items + 64;
        world->heap = realloc(world->heap, world->max_items * sizeof *world->heap);
        if (world->heap == NULL)
            abort();
    }
    item.at = world->now + delay;
    item.order = world->order++;
    item.life = world->life[item.who];
    while (i > 0 && before(&item, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = item;
}

struct item world_pop(struct world *world)
{
    struct item top = world->heap[0];
    struct item last = world->heap[--world->n_items];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= world->n_items)
            break;
        if (child + 1 < world->n_items && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return top;
}

void world_tell(struct world *world, uint32_t who, uint64_t delay, struct told told)
{
    world_push(world, (struct item){.kind = ITEM_TOLD, .who = who, .told = told}, delay);
}

static uint64_t travel(struct world *world)
{
    if (world_faulty(world) && world_chance(world, world->set.slow))
        return world_between(world, 100, 4000);
    return world_between(world, 1, 20);
}

static void send_copy(struct world *world, uint32_t to, const uint8_t *bytes, size_t len)
{
    struct item item = {.kind = ITEM_MESSAGE, .who = to, .bytes = malloc(len), .len = len};

    if (item.bytes == NULL)
        abort();
    memcpy(item.bytes, bytes, len);
    world_push(world, item, travel(world));
}

static void send_bytes(struct world *world, uint32_t from, uint32_t to, const uint8_t *bytes,
                       size_t len)
{
    uint32_t site = from == 0 ? to : from;

    if (!world->linked[site] || (world_faulty(world) && world_chance(world, world->set.drop)))
        return;
    send_copy(world, to, bytes, len);
    if (world_faulty(world) && world_chance(world, world->set.repeat))
        send_copy(world, to, bytes, len);
}

void world_send(struct world *world, uint32_t to, struct incoming *message)
{
    static uint8_t bytes[FAKE_HEAD + MESSAGE_BODY_MAX];
    size_t len = fake_seal(message, world->sequence++, bytes, sizeof bytes);

    if (message->sender == 0 || to == 0)
        send_bytes(world, message->sender, to, bytes, len);
}
