#include "aggregator/post.h"

#include <stdlib.h>
#include <string.h>

struct letter {
    struct letter *after;
    struct link_letter *shared;
    size_t len, n, next; // receivers, and the first one that still waits
    uint32_t to[];
};

struct post {
    struct link *link;
    struct letter *first, *last;
    uint64_t filled_ms; // when `allowed` was last added to
    size_t allowed;     // bytes that may be handed out now
};

enum choir_err post_new(struct link *link, struct post **out)
{
    struct post *post = calloc(1, sizeof *post);

    if (post == NULL)
        return CHOIR_ERR_MEMORY;
    post->link = link;
    post->allowed = POST_BURST;
    *out = post;
    return CHOIR_OK;
}

static void drop_first(struct post *post)
{
    struct letter *letter = post->first;

    post->first = letter->after;
    if (post->first == NULL)
        post->last = NULL;
    link_letter_free(letter->shared);
    free(letter);
}

void post_free(struct post *post)
{
    if (post == NULL)
        return;
    while (post->first != NULL)
        drop_first(post);
    free(post);
}

static bool waits_for_such(const struct post *post, uint32_t site, size_t len)
{
    for (const struct letter *letter = post->first; letter != NULL; letter = letter->after)
        for (size_t i = letter->next; letter->len == len && i < letter->n; i++)
            if (letter->to[i] == site)
                return true;
    return false;
}

enum choir_err post_put(struct post *post, const uint32_t *to, size_t n, const uint8_t *bytes,
                        size_t len, uint64_t now_ms)
{
    struct letter *letter;
    enum choir_err err;

    if (len <= POST_SMALL) {
        for (size_t i = 0; i < n; i++)
            if (link_send(post->link, to[i], LINK_CONTROL, bytes, len) != CHOIR_OK)
                continue;
        return CHOIR_OK;
    }
    if (n == 0 || (n == 1 && waits_for_such(post, to[0], len)))
        return CHOIR_OK;
    letter = malloc(sizeof *letter + n * sizeof letter->to[0]);
    if (letter == NULL)
        return CHOIR_ERR_MEMORY;
    err = link_letter_new(bytes, len, &letter->shared);
    if (err != CHOIR_OK) {
        free(letter);
        return err;
    }
    letter->after = NULL;
    letter->len = len;
    letter->n = n;
    letter->next = 0;
    memcpy(letter->to, to, n * sizeof to[0]);
    if (post->last != NULL)
        post->last->after = letter;
    else
        post->first = letter;
    post->last = letter;
    post_pump(post, now_ms);
    return CHOIR_OK;
}

static void refill(struct post *post, uint64_t now_ms)
{
    uint64_t passed = now_ms > post->filled_ms ? now_ms - post->filled_ms : 0;
    uint64_t more =
        passed > POST_BURST / POST_BYTES_PER_MS ? POST_BURST : passed * POST_BYTES_PER_MS;

    post->allowed = more > POST_BURST - post->allowed ? POST_BURST : post->allowed + more;
    post->filled_ms = now_ms;
}

void post_pump(struct post *post, uint64_t now_ms)
{
    refill(post, now_ms);
    while (post->first != NULL) {
        struct letter *letter = post->first;

        if (letter->len > post->allowed)
            return;
        if (link_send_letter(post->link, letter->to[letter->next], letter->shared) == CHOIR_OK)
            post->allowed -= letter->len;
        if (++letter->next == letter->n)
            drop_first(post);
    }
}

bool post_is_empty(const struct post *post)
{
    return post->first == NULL;
}
