#include "wire/relay.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"

enum { VERSION = 1 };

static const char letter_magic[4] = {'C', 'H', 'R', 'L'};
static const char frame_magic[4] = {'C', 'H', 'R', 'F'};
static const char context[] = "CHOIR-RELAY"; // signed with its zero, before the record

bool relay_is_letter(const uint8_t *bytes, size_t len)
{
    return len >= sizeof letter_magic && memcmp(bytes, letter_magic, sizeof letter_magic) == 0;
}

static bool lanes_are_valid(const struct relay_letter *letter)
{
    return (letter->lane_bits == 16 || letter->lane_bits == 32) && letter->bytes >= 1 &&
           letter->bytes <= BULK_CONTENT_MAX;
}

static bool answer_is_valid(const struct relay_letter *letter)
{
    static const uint8_t none[HASH_BYTES];
    bool summed = letter->code == RELAY_SUMMED;

    if (letter->code >= RELAY_CODES || (letter->site != 0) != (letter->code == RELAY_LACKS))
        return false;
    if (summed)
        return letter->bytes >= 1 && letter->bytes <= BULK_CONTENT_MAX;
    return letter->bytes == 0 && memcmp(letter->root, none, HASH_BYTES) == 0;
}

static bool letter_is_valid(const struct relay_letter *letter)
{
    uint32_t last = 0;

    if (letter->kind < RELAY_HAVE || letter->kind >= RELAY_KINDS ||
        letter->relay < ROSTER_RELAY_FIRST || letter->round < 1 || letter->attempt < 1)
        return false;
    if (letter->kind == RELAY_ANSWER)
        return answer_is_valid(letter);
    if (letter->n > MESSAGE_SITES_MAX || (letter->kind == RELAY_SUM && !lanes_are_valid(letter)))
        return false;
    for (size_t i = 0; i < letter->n; i++) {
        if (letter->vector[i].site <= last || letter->vector[i].site >= ROSTER_RELAY_FIRST)
            return false;
        last = letter->vector[i].site;
    }
    return true;
}

static void put_vectors(struct buf *buf, const struct relay_letter *letter)
{
    buf_u16(buf, (uint16_t)letter->n);
    for (size_t i = 0; i < letter->n; i++) {
        buf_u32(buf, letter->vector[i].site);
        if (letter->kind == RELAY_HAVE)
            buf_u8(buf, letter->vector[i].whole ? 1 : 0);
        buf_bytes(buf, letter->vector[i].root, HASH_BYTES);
    }
}

static void put_record(struct buf *buf, const struct relay_letter *letter)
{
    buf_bytes(buf, letter_magic, sizeof letter_magic);
    buf_u16(buf, VERSION);
    buf_u16(buf, (uint16_t)letter->kind);
    buf_u32(buf, letter->relay);
    buf_u64(buf, letter->roster_epoch);
    buf_bytes(buf, letter->run, sizeof letter->run);
    buf_u64(buf, letter->round);
    buf_u32(buf, letter->attempt);
    if (letter->kind == RELAY_ANSWER) {
        buf_bytes(buf, letter->question, HASH_BYTES);
        buf_u16(buf, (uint16_t)letter->code);
        buf_u32(buf, letter->site);
        buf_u64(buf, letter->bytes);
        buf_bytes(buf, letter->root, HASH_BYTES);
        return;
    }
    if (letter->kind == RELAY_SUM) {
        buf_u16(buf, letter->lane_bits);
        buf_u64(buf, letter->bytes);
    }
    put_vectors(buf, letter);
}

enum choir_err relay_seal(const struct relay_letter *letter,
                          const uint8_t secret_key[static SIGN_SECRET_BYTES],
                          uint8_t to[static RELAY_LETTER_MAX], size_t *len)
{
    uint8_t message[sizeof context + RELAY_LETTER_MAX];
    struct buf buf = buf_over(message + sizeof context, RELAY_LETTER_MAX - SIGN_BYTES);

    if (!letter_is_valid(letter))
        return CHOIR_ERR_FORMAT;
    memcpy(message, context, sizeof context);
    put_record(&buf, letter);
    assert(buf_ok(&buf));
    memcpy(to, message + sizeof context, buf.len);
    sign_make(to + buf.len, message, sizeof context + buf.len, secret_key);
    *len = buf.len + SIGN_BYTES;
    return CHOIR_OK;
}

static void get_vectors(struct view *view, struct relay_letter *letter)
{
    letter->n = view_u16(view);
    if (letter->n > MESSAGE_SITES_MAX)
        view->failed = true;
    for (size_t i = 0; i < letter->n && !view->failed; i++) {
        struct relay_vector *vector = &letter->vector[i];
        uint8_t whole = 1;

        vector->site = view_u32(view);
        if (letter->kind == RELAY_HAVE)
            whole = view_u8(view);
        if (whole > 1)
            view->failed = true;
        vector->whole = whole == 1;
        view_bytes(view, vector->root, HASH_BYTES);
    }
}

static void get_answer(struct view *view, struct relay_letter *letter)
{
    uint16_t code;

    view_bytes(view, letter->question, HASH_BYTES);
    code = view_u16(view);
    if (code >= RELAY_CODES)
        view->failed = true;
    letter->code = code < RELAY_CODES ? (enum relay_code)code : RELAY_FAILED;
    letter->site = view_u32(view);
    letter->bytes = view_u64(view);
    view_bytes(view, letter->root, HASH_BYTES);
}

static enum choir_err get_record(struct view *view, struct relay_letter *letter)
{
    char found[sizeof letter_magic];
    uint16_t kind;

    view_bytes(view, found, sizeof found);
    if (memcmp(found, letter_magic, sizeof found) != 0 || view_u16(view) != VERSION)
        return CHOIR_ERR_FORMAT;
    kind = view_u16(view);
    if (kind < RELAY_HAVE || kind >= RELAY_KINDS)
        return CHOIR_ERR_FORMAT;
    letter->kind = (enum relay_kind)kind;
    letter->relay = view_u32(view);
    letter->roster_epoch = view_u64(view);
    view_bytes(view, letter->run, sizeof letter->run);
    letter->round = view_u64(view);
    letter->attempt = view_u32(view);
    if (letter->kind == RELAY_SUM) {
        letter->lane_bits = view_u16(view);
        letter->bytes = view_u64(view);
    }
    if (letter->kind == RELAY_ANSWER)
        get_answer(view, letter);
    else
        get_vectors(view, letter);
    return view_done(view) && letter_is_valid(letter) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

static enum choir_err check_signature(const uint8_t *bytes, size_t len, const uint8_t *key)
{
    uint8_t message[sizeof context + RELAY_LETTER_MAX];
    uint8_t *end = put_bytes(message, context, sizeof context);

    put_bytes(end, bytes, len - SIGN_BYTES);
    return sign_check(bytes + len - SIGN_BYTES, message, sizeof context + len - SIGN_BYTES, key);
}

enum choir_err relay_open(const uint8_t *bytes, size_t len, const struct roster *roster,
                          struct relay_letter *out)
{
    const struct roster_relay *relay;
    struct view view;
    enum choir_err err;

    memset(out, 0, sizeof *out);
    if (len <= SIGN_BYTES || len > RELAY_LETTER_MAX)
        return CHOIR_ERR_FORMAT;
    view = view_over(bytes, len - SIGN_BYTES);
    err = get_record(&view, out);
    if (err != CHOIR_OK)
        return err;
    relay = roster_relay_by_id(roster, out->relay);
    if (relay == NULL)
        return CHOIR_ERR_MISSING;
    err = check_signature(bytes, len,
                          out->kind == RELAY_SUM ? roster->aggregator.sign_key : relay->sign_key);
    if (err != CHOIR_OK)
        return err;
    return out->roster_epoch == roster->epoch ? CHOIR_OK : CHOIR_ERR_REFUSED;
}

void relay_question(const struct relay_letter *sum, uint8_t hash[static HASH_BYTES])
{
    uint8_t record[RELAY_LETTER_MAX];
    struct buf buf = buf_over(record, sizeof record);

    assert(sum->kind == RELAY_SUM && letter_is_valid(sum));
    put_record(&buf, sum);
    hash_bytes(hash, record, buf.len);
}

void relay_frame_make(const struct site_set *to, const uint8_t *bytes, size_t len, uint8_t *frame,
                      size_t *frame_len)
{
    struct buf buf = buf_over(frame, RELAY_FRAME_HEAD_MAX + len);

    buf_bytes(&buf, frame_magic, sizeof frame_magic);
    buf_u16(&buf, VERSION);
    buf_u16(&buf, (uint16_t)to->n);
    for (size_t i = 0; i < to->n; i++)
        buf_u32(&buf, to->id[i]);
    buf_bytes(&buf, bytes, len);
    assert(buf_ok(&buf));
    *frame_len = buf.len;
}

enum choir_err relay_frame_open(const uint8_t *frame, size_t frame_len, struct site_set *to,
                                const uint8_t **bytes, size_t *len)
{
    struct view view = view_over(frame, frame_len);
    char found[sizeof frame_magic];
    uint32_t last = 0;

    to->n = 0;
    view_bytes(&view, found, sizeof found);
    if (memcmp(found, frame_magic, sizeof found) != 0 || view_u16(&view) != VERSION)
        return CHOIR_ERR_FORMAT;
    to->n = view_u16(&view);
    if (to->n < 1 || to->n > MESSAGE_SITES_MAX)
        return CHOIR_ERR_FORMAT;
    for (size_t i = 0; i < to->n; i++) {
        to->id[i] = view_u32(&view);
        if (to->id[i] <= last || to->id[i] >= ROSTER_RELAY_FIRST)
            return CHOIR_ERR_FORMAT;
        last = to->id[i];
    }
    if (view.failed || view.left < 1 || view.left > ENVELOPE_BYTES_MAX)
        return CHOIR_ERR_FORMAT;
    *bytes = view.at;
    *len = view.left;
    return CHOIR_OK;
}
