#include "round/journal.h"

#include <string.h>

#include "base/buf.h"

enum { JOURNAL_VERSION = 2 };

static void put_blob(struct buf *buf, const uint8_t *at, size_t len, size_t max)
{
    if (len > max)
        buf->failed = true;
    buf_u32(buf, (uint32_t)len);
    buf_bytes(buf, at, len);
}

static const uint8_t *get_blob(struct view *view, size_t *len, size_t max)
{
    uint32_t n = view_u32(view);

    if (n > max)
        view->failed = true;
    *len = view->failed ? 0 : n;
    return view_take(view, *len);
}

// How many items follow; 0 once the view has failed.
static size_t get_count(struct view *view, size_t min)
{
    size_t n = view_u16(view);

    if (n < min || n > MESSAGE_SITES_MAX)
        view->failed = true;
    return view->failed ? 0 : n;
}

static void put_count(struct buf *buf, size_t n, size_t min)
{
    if (n < min || n > MESSAGE_SITES_MAX)
        buf->failed = true;
    buf_u16(buf, (uint16_t)n);
}

static enum message_code get_code(struct view *view)
{
    uint16_t value = view_u16(view);

    if (value >= MESSAGE_CODES)
        view->failed = true;
    return view->failed ? MESSAGE_CODE_NONE : (enum message_code)value;
}

// Site ids ascend from 1; `before` is the one before in the list, 0 at its start.
static uint32_t get_id(struct view *view, uint32_t before)
{
    uint32_t id = view_u32(view);

    if (id <= before)
        view->failed = true;
    return id;
}

static bool terms_ok(const struct gather_run *run)
{
    return run->rounds >= 1 && run->n_parameters >= 1 && run->update_bytes >= 1 &&
           (run->lane_bits == 16 || run->lane_bits == 32) && run->suite <= MESSAGE_SUITE_MAX &&
           run->min_sites >= 1 && run->deadline_ms >= 1 && run->plan_len >= 1 &&
           run->plan_len <= MESSAGE_PLAN_MAX;
}

static void put_start(struct buf *buf, const struct gather_run *run)
{
    if (!terms_ok(run))
        buf->failed = true;
    buf_bytes(buf, run->run, sizeof run->run);
    buf_bytes(buf, run->plan_hash, sizeof run->plan_hash);
    buf_bytes(buf, run->signature, sizeof run->signature);
    put_blob(buf, run->plan, run->plan_len, MESSAGE_PLAN_MAX);
    buf_u64(buf, run->rounds);
    buf_u64(buf, run->n_parameters);
    buf_u64(buf, run->update_bytes);
    buf_u16(buf, run->lane_bits);
    buf_u16(buf, run->suite);
    buf_u32(buf, run->min_sites);
    buf_u32(buf, run->deadline_ms);
    buf_bytes(buf, run->model_hash, sizeof run->model_hash);
    put_count(buf, run->n_sites, 1);
    for (size_t i = 0; i < run->n_sites && buf_ok(buf); i++) {
        buf_u32(buf, run->site[i].id);
        buf_u64(buf, run->site[i].nominal_size);
        if (run->site[i].id <= (i == 0 ? 0 : run->site[i - 1].id))
            buf->failed = true;
    }
}

static void get_start(struct view *view, struct gather_run *run)
{
    view_bytes(view, run->run, sizeof run->run);
    view_bytes(view, run->plan_hash, sizeof run->plan_hash);
    view_bytes(view, run->signature, sizeof run->signature);
    run->plan = get_blob(view, &run->plan_len, MESSAGE_PLAN_MAX);
    run->rounds = view_u64(view);
    run->n_parameters = view_u64(view);
    run->update_bytes = view_u64(view);
    run->lane_bits = view_u16(view);
    run->suite = view_u16(view);
    run->min_sites = view_u32(view);
    run->deadline_ms = view_u32(view);
    view_bytes(view, run->model_hash, sizeof run->model_hash);
    run->n_sites = get_count(view, 1);
    for (size_t i = 0; i < run->n_sites && !view->failed; i++) {
        run->site[i].id = get_id(view, i == 0 ? 0 : run->site[i - 1].id);
        run->site[i].nominal_size = view_u64(view);
    }
    if (!terms_ok(run))
        view->failed = true;
}

static void put_open(struct buf *buf, const struct journal_open *open)
{
    put_blob(buf, open->body, open->body_len, message_body_max(MESSAGE_ROUND_OPEN));
    put_count(buf, open->n, 1);
    for (size_t i = 0; i < open->n && buf_ok(buf); i++)
        buf_bytes(buf, open->session[i], sizeof open->session[i]);
}

static void get_open(struct view *view, struct journal_open *open)
{
    open->body = get_blob(view, &open->body_len, message_body_max(MESSAGE_ROUND_OPEN));
    open->n = get_count(view, 1);
    for (size_t i = 0; i < open->n && !view->failed; i++)
        view_bytes(view, open->session[i], sizeof open->session[i]);
}

static void put_survivors(struct buf *buf, const struct journal_survivors *survivors)
{
    buf_u64(buf, survivors->round);
    buf_u32(buf, survivors->attempt);
    buf_bytes(buf, survivors->r2, sizeof survivors->r2);
    put_count(buf, survivors->bundles.n, 1);
    for (size_t i = 0; i < survivors->bundles.n && buf_ok(buf); i++) {
        buf_u32(buf, survivors->bundles.id[i]);
        buf_bytes(buf, survivors->bundles.hash[i], HASH_BYTES);
        if (survivors->bundles.id[i] <= (i == 0 ? 0 : survivors->bundles.id[i - 1]))
            buf->failed = true;
    }
    put_blob(buf, survivors->adverts, survivors->adverts_len, message_body_max(MESSAGE_ADVERTS));
    put_blob(buf, survivors->body, survivors->body_len, message_body_max(MESSAGE_SURVIVORS));
}

static void get_survivors(struct view *view, struct journal_survivors *survivors)
{
    survivors->round = view_u64(view);
    survivors->attempt = view_u32(view);
    view_bytes(view, survivors->r2, sizeof survivors->r2);
    survivors->bundles.n = get_count(view, 1);
    for (size_t i = 0; i < survivors->bundles.n && !view->failed; i++) {
        survivors->bundles.id[i] = get_id(view, i == 0 ? 0 : survivors->bundles.id[i - 1]);
        view_bytes(view, survivors->bundles.hash[i], HASH_BYTES);
    }
    survivors->adverts = get_blob(view, &survivors->adverts_len, message_body_max(MESSAGE_ADVERTS));
    survivors->body = get_blob(view, &survivors->body_len, message_body_max(MESSAGE_SURVIVORS));
}

static void put_attempt(struct buf *buf, const struct journal_attempt *attempt)
{
    buf_u64(buf, attempt->round);
    buf_u32(buf, attempt->attempt);
    buf_u16(buf, (uint16_t)attempt->code);
}

static void get_attempt(struct view *view, struct journal_attempt *attempt)
{
    attempt->round = view_u64(view);
    attempt->attempt = view_u32(view);
    attempt->code = get_code(view);
}

static void put_reveal(struct buf *buf, const struct journal_reveal *reveal)
{
    buf_u64(buf, reveal->round);
    buf_u32(buf, reveal->attempt);
    put_blob(buf, reveal->body, reveal->body_len, message_body_max(MESSAGE_CONSENTS));
}

static void get_reveal(struct view *view, struct journal_reveal *reveal)
{
    reveal->round = view_u64(view);
    reveal->attempt = view_u32(view);
    reveal->body = get_blob(view, &reveal->body_len, message_body_max(MESSAGE_CONSENTS));
}

static void put_close(struct buf *buf, const struct journal_close *close)
{
    buf_u64(buf, close->round);
    buf_u32(buf, close->attempt);
    put_blob(buf, close->body, close->body_len, message_body_max(MESSAGE_ROUND_CLOSE));
}

static void get_close(struct view *view, struct journal_close *close)
{
    close->round = view_u64(view);
    close->attempt = view_u32(view);
    close->body = get_blob(view, &close->body_len, message_body_max(MESSAGE_ROUND_CLOSE));
}

static void put_suspend(struct buf *buf, const struct journal_suspend *suspend)
{
    buf_u32(buf, suspend->site);
    buf_u16(buf, (uint16_t)suspend->code);
    put_blob(buf, suspend->first, suspend->first_len, JOURNAL_EVIDENCE_MAX);
    put_blob(buf, suspend->second, suspend->second_len, JOURNAL_EVIDENCE_MAX);
}

static void get_suspend(struct view *view, struct journal_suspend *suspend)
{
    suspend->site = get_id(view, 0);
    suspend->code = get_code(view);
    suspend->first = get_blob(view, &suspend->first_len, JOURNAL_EVIDENCE_MAX);
    suspend->second = get_blob(view, &suspend->second_len, JOURNAL_EVIDENCE_MAX);
}

enum choir_err journal_encode(const struct journal_record *record, uint8_t *bytes, size_t max,
                              size_t *len)
{
    struct buf buf = buf_over(bytes, max < JOURNAL_RECORD_MAX ? max : JOURNAL_RECORD_MAX);

    buf_u8(&buf, JOURNAL_VERSION);
    buf_u8(&buf, (uint8_t)record->kind);
    switch (record->kind) {
    case JOURNAL_RUN_START:
        put_start(&buf, &record->start.run);
        break;
    case JOURNAL_ROUND_OPEN:
        put_open(&buf, &record->open);
        break;
    case JOURNAL_SURVIVORS:
        put_survivors(&buf, &record->survivors);
        break;
    case JOURNAL_REVEAL:
        put_reveal(&buf, &record->reveal);
        break;
    case JOURNAL_ABANDON:
    case JOURNAL_LOST:
        put_attempt(&buf, &record->attempt);
        break;
    case JOURNAL_CLOSE:
        put_close(&buf, &record->close);
        break;
    case JOURNAL_SUSPEND:
        put_suspend(&buf, &record->suspend);
        break;
    case JOURNAL_RUN_END:
        buf_u16(&buf, (uint16_t)record->end.code);
        buf_u64(&buf, record->end.rounds);
        break;
    case JOURNAL_KINDS:
    default:
        buf.failed = true;
    }
    *len = buf_ok(&buf) ? buf.len : 0;
    return buf_ok(&buf) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

enum choir_err journal_decode(const uint8_t *bytes, size_t len, struct journal_record *out)
{
    struct view view = view_over(bytes, len);
    uint8_t kind;

    if (len > JOURNAL_RECORD_MAX || view_u8(&view) != JOURNAL_VERSION)
        return CHOIR_ERR_FORMAT;
    kind = view_u8(&view);
    if (kind < JOURNAL_RUN_START || kind >= JOURNAL_KINDS)
        return CHOIR_ERR_FORMAT;
    out->kind = (enum journal_kind)kind;
    switch (out->kind) {
    case JOURNAL_RUN_START:
        get_start(&view, &out->start.run);
        break;
    case JOURNAL_ROUND_OPEN:
        get_open(&view, &out->open);
        break;
    case JOURNAL_SURVIVORS:
        get_survivors(&view, &out->survivors);
        break;
    case JOURNAL_REVEAL:
        get_reveal(&view, &out->reveal);
        break;
    case JOURNAL_ABANDON:
    case JOURNAL_LOST:
        get_attempt(&view, &out->attempt);
        break;
    case JOURNAL_CLOSE:
        get_close(&view, &out->close);
        break;
    case JOURNAL_SUSPEND:
        get_suspend(&view, &out->suspend);
        break;
    case JOURNAL_RUN_END:
        out->end.code = get_code(&view);
        out->end.rounds = view_u64(&view);
        break;
    case JOURNAL_KINDS:
    default:
        return CHOIR_ERR_FORMAT;
    }
    return view_done(&view) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}
