#include "ops/progress.h"

#include <string.h>

#include "base/buf.h"

enum { BAR_COLUMNS = 20 };

static void put_sums(struct buf *buf, const struct progress_sums *sums)
{
    buf_u16(buf, sums->suite);
    buf_u32(buf, sums->collusion);
    buf_u64(buf, sums->n);
    buf_u32(buf, sums->least);
    buf_u32(buf, sums->most);
    buf_u32(buf, sums->may_lose);
    buf_u32(buf, (uint32_t)sums->n_closed);
    for (size_t i = 0; i < sums->n_closed; i++) {
        const struct progress_round *round = &sums->closed[i];

        buf_u64(buf, round->round_no);
        buf_u32(buf, round->attempt);
        buf_u32(buf, round->invited);
        buf_u32(buf, round->in_sum);
        buf_u32(buf, round->threshold);
        buf_u32(buf, round->minimum);
    }
}

enum choir_err progress_encode(const struct progress *progress, uint8_t *bytes, size_t max,
                               size_t *len)
{
    struct buf buf = buf_over(bytes, max);

    buf_u8(&buf, (uint8_t)progress->state);
    buf_u8(&buf, progress->complete);
    buf_bytes(&buf, progress->run, sizeof progress->run);
    buf_text(&buf, progress->plan);
    buf_text(&buf, progress->phase);
    buf_text(&buf, progress->reason);
    buf_u64(&buf, progress->round_no);
    buf_u64(&buf, progress->rounds);
    buf_u32(&buf, progress->attempt);
    buf_u64(&buf, progress->elapsed_ms);
    buf_u64(&buf, progress->deadline_ms);
    buf_u64(&buf, progress->bytes_up);
    buf_u64(&buf, progress->bytes_down);
    if (progress->n_sites > PROGRESS_SITES_MAX || progress->sums.n_closed > PROGRESS_ROUNDS_MAX)
        return CHOIR_ERR_FORMAT;
    put_sums(&buf, &progress->sums);
    buf_u32(&buf, (uint32_t)progress->n_sites);
    for (size_t i = 0; i < progress->n_sites; i++) {
        buf_text(&buf, progress->sites[i].name);
        buf_u8(&buf, (uint8_t)progress->sites[i].state);
    }
    if (!buf_ok(&buf))
        return CHOIR_ERR_FORMAT;
    *len = buf.len;
    return CHOIR_OK;
}

// A terminal obeys control characters, and some of the texts are by peers.
static void read_text(struct view *view, char *to, size_t max)
{
    view_text(view, to, max);
    for (unsigned char *at = (unsigned char *)to; *at != '\0'; at++)
        if (*at < ' ' || *at >= 0x7f)
            *at = '?';
}

static void read_sites(struct view *view, struct progress *progress)
{
    uint32_t n = view_u32(view);

    if (n > PROGRESS_SITES_MAX) {
        view->failed = true;
        return;
    }
    progress->n_sites = n;
    for (size_t i = 0; i < n; i++) {
        uint8_t state;

        read_text(view, progress->sites[i].name, sizeof progress->sites[i].name);
        state = view_u8(view);
        if (state >= PROGRESS_SITE_STATES)
            view->failed = true;
        progress->sites[i].state = (enum progress_site_state)state;
    }
}

static void read_sums(struct view *view, struct progress_sums *sums)
{
    uint32_t n;

    sums->suite = view_u16(view);
    sums->collusion = view_u32(view);
    sums->n = view_u64(view);
    sums->least = view_u32(view);
    sums->most = view_u32(view);
    sums->may_lose = view_u32(view);
    n = view_u32(view);
    if (n > PROGRESS_ROUNDS_MAX) {
        view->failed = true;
        return;
    }
    sums->n_closed = n;
    for (size_t i = 0; i < n; i++) {
        struct progress_round *round = &sums->closed[i];

        round->round_no = view_u64(view);
        round->attempt = view_u32(view);
        round->invited = view_u32(view);
        round->in_sum = view_u32(view);
        round->threshold = view_u32(view);
        round->minimum = view_u32(view);
    }
}

enum choir_err progress_decode(const uint8_t *bytes, size_t len, struct progress *progress)
{
    struct view view = view_over(bytes, len);
    uint8_t state;

    memset(progress, 0, sizeof *progress);
    state = view_u8(&view);
    progress->complete = view_u8(&view) == 1;
    view_bytes(&view, progress->run, sizeof progress->run);
    read_text(&view, progress->plan, sizeof progress->plan);
    read_text(&view, progress->phase, sizeof progress->phase);
    read_text(&view, progress->reason, sizeof progress->reason);
    progress->round_no = view_u64(&view);
    progress->rounds = view_u64(&view);
    progress->attempt = view_u32(&view);
    progress->elapsed_ms = view_u64(&view);
    progress->deadline_ms = view_u64(&view);
    progress->bytes_up = view_u64(&view);
    progress->bytes_down = view_u64(&view);
    read_sums(&view, &progress->sums);
    read_sites(&view, progress);
    if (!view_done(&view) || state > PROGRESS_ENDED)
        return CHOIR_ERR_FORMAT;
    progress->state = (enum progress_state)state;
    return CHOIR_OK;
}

void progress_sums_add(struct progress_sums *sums, const struct progress_round *round)
{
    uint32_t may_lose = round->invited > round->minimum ? round->invited - round->minimum : 0;
    bool first = sums->n == 0;

    if (sums->n_closed > 0 && round->round_no <= sums->closed[sums->n_closed - 1].round_no)
        return;
    sums->n++;
    if (first || round->in_sum < sums->least)
        sums->least = round->in_sum;
    if (round->in_sum > sums->most)
        sums->most = round->in_sum;
    if (first || may_lose < sums->may_lose)
        sums->may_lose = may_lose;
    if (sums->n_closed == PROGRESS_ROUNDS_MAX)
        memmove(sums->closed, sums->closed + 1, --sums->n_closed * sizeof sums->closed[0]);
    sums->closed[sums->n_closed++] = *round;
}

void progress_sums_text(const struct progress_sums *sums, const char *suite, size_t n_sites,
                        char *text, size_t max)
{
    char least[16] = "";

    if (sums->suite == 0) {
        snprintf(text, max, "secure aggregation off: the aggregator sees each site's update");
        return;
    }
    if (sums->n == 0) {
        snprintf(text, max,
                 "secure aggregation on (%s): no sum opened yet; %u may collude with the "
                 "aggregator",
                 suite, sums->collusion);
        return;
    }
    if (sums->least < sums->most)
        snprintf(least, sizeof least, "%u to ", sums->least);
    snprintf(text, max,
             "secure aggregation on (%s): %llu sum%s%s over %s%u of %zu sites; a round could lose "
             "%u site%s, and %u may collude with the aggregator",
             suite, (unsigned long long)sums->n, sums->n == 1 ? "" : "s",
             sums->n == 1 ? "" : ", each", least, sums->most, n_sites, sums->may_lose,
             sums->may_lose == 1 ? "" : "s", sums->collusion);
}

static uint64_t rounds_done(const struct progress *progress)
{
    if (progress->state == PROGRESS_ENDED)
        return progress->round_no;
    return progress->round_no > 0 ? progress->round_no - 1 : 0;
}

// Estimated from the pace so far; 0 while unknown.
static uint64_t left_ms(const struct progress *progress)
{
    uint64_t done = rounds_done(progress);

    if (progress->state != PROGRESS_RUNNING || done == 0 || done >= progress->rounds)
        return 0;
    return progress->elapsed_ms / done * (progress->rounds - done);
}

static size_t count_sites(const struct progress *progress, enum progress_site_state state,
                          const char **first)
{
    size_t n = 0;

    for (size_t i = 0; i < progress->n_sites; i++) {
        if (progress->sites[i].state != state)
            continue;
        if (n++ == 0)
            *first = progress->sites[i].name;
    }
    return n;
}

// "  late 2 (south, ...)", or nothing where no site is in that state.
static size_t put_count(char *at, size_t max, const char *word, size_t n, const char *first)
{
    int wrote = 0;

    if (n > 0)
        wrote = snprintf(at, max, "  %s %zu (%s%s)", word, n, first, n > 1 ? ", ..." : "");
    return wrote < 0 || (size_t)wrote >= max ? 0 : (size_t)wrote;
}

// " in 3 of 4  late 1 (south)": who is where in the open round.
static size_t put_sites(char *at, size_t max, const struct progress *progress)
{
    const char *none = "", *late = "", *missing = "";
    size_t n_in = count_sites(progress, PROGRESS_SITE_IN, &none);
    size_t n_late = count_sites(progress, PROGRESS_SITE_LATE, &late);
    size_t n_missing = count_sites(progress, PROGRESS_SITE_MISSING, &missing);
    int wrote = snprintf(at, max, " in %zu of %zu", n_in, progress->n_sites);
    size_t len = wrote < 0 || (size_t)wrote >= max ? 0 : (size_t)wrote;

    len += put_count(at + len, max - len, "late", n_late, late);
    return len + put_count(at + len, max - len, "missing", n_missing, missing);
}

static void put_bar(char bar[static BAR_COLUMNS + 1], uint64_t done, uint64_t all)
{
    uint64_t filled = all == 0 ? 0 : done * BAR_COLUMNS / all;

    for (size_t i = 0; i < BAR_COLUMNS; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_COLUMNS] = '\0';
}

void progress_line(const struct progress *progress, char *line, size_t max, size_t width)
{
    char bar[BAR_COLUMNS + 1];
    size_t at;
    uint64_t left = left_ms(progress);

    put_bar(bar, rounds_done(progress), progress->rounds);
    at = (size_t)snprintf(line, max, "round %llu/%llu [%s] %-9s",
                          (unsigned long long)progress->round_no,
                          (unsigned long long)progress->rounds, bar, progress->phase);
    if (at >= max)
        return;
    if (progress->state != PROGRESS_ENDED)
        at += put_sites(line + at, max - at, progress);
    if (left > 0)
        snprintf(line + at, max - at, "  %llu:%02llu left", (unsigned long long)(left / 60000),
                 (unsigned long long)(left / 1000 % 60));
    else if (progress->reason[0] != '\0')
        snprintf(line + at, max - at, "  %s", progress->reason);
    if (width < max)
        line[width] = '\0';
}
