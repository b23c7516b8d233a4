/* proof_decode, and proof_check with letters that need no signature. What decodes encodes the
 * same; a proof that holds has sets within each other and masks to take off. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/maskset.h"
#include "round/proof.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum choir_err open_unsigned(const void *context, const uint8_t *bytes, size_t len,
                                    struct incoming *out)
{
    struct view view = view_over(bytes, len);

    (void)context;
    out->kind = view_u16(&view);
    view_bytes(&view, out->run, sizeof out->run);
    out->round = view_u64(&view);
    out->attempt = view_u32(&view);
    out->sender = view_u32(&view);
    (void)view_u64(&view);
    view_bytes(&view, out->transcript, sizeof out->transcript);
    out->body_len = view.left;
    out->body = view_take(&view, view.left);
    out->signed_bytes = bytes;
    out->signed_len = len;
    return view_done(&view) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

static void check(const uint8_t *data, size_t len)
{
    static struct proof_terms terms = {.roster = {4, {1, 2, 3, 4}}};
    static struct proof_result result;

    terms.open = open_unsigned;
    if (proof_check(&terms, data, len, &result) != CHOIR_OK) {
        if (result.unmask != NULL)
            abort();
        return;
    }
    if (!site_set_within(&result.u, &result.v2) ||
        !site_set_within(&result.v2, &result.open.sites) || result.u.n < result.open.minimum ||
        maskset_count(result.unmask) < result.u.n)
        abort();
    maskset_free(result.unmask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct proof proof;
    uint8_t *again = NULL;
    size_t again_len;

    if (proof_decode(data, len, &proof) != CHOIR_OK)
        return 0;
    if (proof_encode(&proof, &again, &again_len) != CHOIR_OK || again_len != len ||
        memcmp(again, data, len) != 0)
        abort();
    free(again);
    check(data, len);
    return 0;
}
