#include "train/snapshot.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

enum { SNAPSHOT_VERSION = 1, MAGIC_BYTES = 8 };

static const uint8_t magic[MAGIC_BYTES] = {'C', 'H', 'O', 'I', 'R', 'M', 'D', 'L'};

size_t snapshot_len(size_t n_params)
{
    return SNAPSHOT_HEAD_BYTES + sizeof(float) * n_params;
}

void snapshot_head(uint8_t head[static SNAPSHOT_HEAD_BYTES],
                   const uint8_t plan_hash[static HASH_BYTES], uint64_t round_no, size_t n_params)
{
    uint8_t *at = put_bytes(head, magic, sizeof magic);

    at = put_u32(at, SNAPSHOT_VERSION);
    at = put_bytes(at, plan_hash, HASH_BYTES);
    at = put_u64(at, round_no);
    put_u64(at, n_params);
}

void snapshot_put(uint8_t *to, const float *params, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;

        memcpy(&bits, params + i, sizeof bits);
        to = put_u32(to, bits);
    }
}

enum choir_err snapshot_head_get(const uint8_t head[static SNAPSHOT_HEAD_BYTES],
                                 const uint8_t plan_hash[static HASH_BYTES], size_t n_params,
                                 uint64_t *round_no)
{
    const uint8_t *at = head + MAGIC_BYTES;

    if (memcmp(head, magic, sizeof magic) != 0 || get_u32(at) != SNAPSHOT_VERSION ||
        memcmp(at + 4, plan_hash, HASH_BYTES) != 0 || get_u64(at + 4 + HASH_BYTES + 8) != n_params)
        return CHOIR_ERR_FORMAT;
    *round_no = get_u64(at + 4 + HASH_BYTES);
    return CHOIR_OK;
}

enum choir_err snapshot_take(float *params, const uint8_t *from, size_t count)
{
    bool finite = true;

    for (size_t i = 0; i < count; i++) {
        uint32_t bits = get_u32(from + 4 * i);

        memcpy(params + i, &bits, sizeof bits);
        finite = finite && isfinite(params[i]);
    }
    return finite ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

enum choir_err snapshot_get(const uint8_t *bytes, size_t len,
                            const uint8_t plan_hash[static HASH_BYTES], size_t n_params,
                            float *params, uint64_t *round_no)
{
    uint64_t number = 0;
    enum choir_err err = CHOIR_ERR_FORMAT;

    if (len == snapshot_len(n_params))
        err = snapshot_head_get(bytes, plan_hash, n_params, &number);
    if (err == CHOIR_OK)
        err = snapshot_take(params, bytes + SNAPSHOT_HEAD_BYTES, n_params);
    if (err == CHOIR_OK)
        *round_no = number;
    return err;
}
