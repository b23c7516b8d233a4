#include "round/proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { PROOF_VERSION = 1, MAGIC_BYTES = 8 };

static const char magic[MAGIC_BYTES + 1] = "CHRPROOF";

static void put_part(struct buf *buf, const struct proof_part *part, uint16_t kind)
{
    if (part->len == 0 || part->len > message_body_max(kind))
        buf->failed = true;
    buf_u32(buf, (uint32_t)part->len);
    buf_bytes(buf, part->at, part->len);
}

static void get_part(struct view *view, struct proof_part *part, uint16_t kind)
{
    uint32_t len = view_u32(view);

    if (len == 0 || len > message_body_max(kind))
        view->failed = true;
    part->len = view->failed ? 0 : len;
    part->at = view_take(view, part->len);
}

static size_t get_count(struct view *view)
{
    size_t n = view_u16(view);

    if (n == 0 || n > MESSAGE_SITES_MAX)
        view->failed = true;
    return view->failed ? 0 : n;
}

static void put_all(struct buf *buf, const struct proof *proof)
{
    buf_bytes(buf, magic, MAGIC_BYTES);
    buf_u16(buf, PROOF_VERSION);
    buf_bytes(buf, proof->run, sizeof proof->run);
    buf_u64(buf, proof->round);
    buf_u32(buf, proof->attempt);
    put_part(buf, &proof->open, MESSAGE_ROUND_OPEN);
    put_part(buf, &proof->adverts, MESSAGE_ADVERTS);
    put_part(buf, &proof->survivors, MESSAGE_SURVIVORS);
    put_part(buf, &proof->consents, MESSAGE_CONSENTS);
    if (proof->bundles.n == 0 || proof->bundles.n > MESSAGE_SITES_MAX ||
        proof->n_revealed != proof->bundles.n)
        buf->failed = true;
    buf_u16(buf, (uint16_t)proof->n_revealed);
    for (size_t i = 0; i < proof->n_revealed && buf_ok(buf); i++) {
        const struct revealed *revealed = &proof->revealed[i];

        if (revealed->id != proof->bundles.id[i] ||
            revealed->id <= (i == 0 ? 0 : proof->revealed[i - 1].id))
            buf->failed = true;
        buf_u32(buf, revealed->id);
        buf_bytes(buf, proof->bundles.hash[i], HASH_BYTES);
        buf_u8(buf, revealed->of_mask_key ? 1 : 0);
        buf_bytes(buf, revealed->secret, sizeof revealed->secret);
    }
}

enum choir_err proof_encode(const struct proof *proof, uint8_t **bytes, size_t *len)
{
    size_t room = proof->open.len + proof->adverts.len + proof->survivors.len +
                  proof->consents.len + sizeof(struct proof);
    struct buf buf;

    if (room > PROOF_MAX + sizeof(struct proof))
        return CHOIR_ERR_FORMAT;
    *bytes = malloc(room);
    if (*bytes == NULL)
        return CHOIR_ERR_MEMORY;
    buf = buf_over(*bytes, room < PROOF_MAX ? room : PROOF_MAX);
    put_all(&buf, proof);
    *len = buf.len;
    if (buf_ok(&buf))
        return CHOIR_OK;
    free(*bytes);
    *bytes = NULL;
    return CHOIR_ERR_FORMAT;
}

enum choir_err proof_decode(const uint8_t *bytes, size_t len, struct proof *out)
{
    struct view view = view_over(bytes, len);
    const uint8_t *start = view_take(&view, MAGIC_BYTES);

    if (len > PROOF_MAX || start == NULL || memcmp(start, magic, MAGIC_BYTES) != 0 ||
        view_u16(&view) != PROOF_VERSION)
        return CHOIR_ERR_FORMAT;
    view_bytes(&view, out->run, sizeof out->run);
    out->round = view_u64(&view);
    out->attempt = view_u32(&view);
    get_part(&view, &out->open, MESSAGE_ROUND_OPEN);
    get_part(&view, &out->adverts, MESSAGE_ADVERTS);
    get_part(&view, &out->survivors, MESSAGE_SURVIVORS);
    get_part(&view, &out->consents, MESSAGE_CONSENTS);
    out->n_revealed = out->bundles.n = get_count(&view);
    for (size_t i = 0; i < out->n_revealed && !view.failed; i++) {
        struct revealed *revealed = &out->revealed[i];
        uint8_t of_mask_key;

        revealed->id = out->bundles.id[i] = view_u32(&view);
        view_bytes(&view, out->bundles.hash[i], HASH_BYTES);
        of_mask_key = view_u8(&view);
        revealed->of_mask_key = of_mask_key == 1;
        view_bytes(&view, revealed->secret, sizeof revealed->secret);
        if (of_mask_key > 1 || revealed->id <= (i == 0 ? 0 : out->revealed[i - 1].id))
            view.failed = true;
    }
    return view_done(&view) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}
