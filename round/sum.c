#include "round/sum.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/mask.h"

/* Chosen by the processor's features when the program is loaded. Sanitizers are not ready when
 * that choice is made, hence the test. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    BLOCK_BYTES = 16384, // of the total: with its parts it stays in the nearest caches
    ABREAST = 4,         // vectors added in one pass over the total
    TILE_BYTES = 256,    // whole registers of any width
};

struct sum {
    const struct maskset *unmask;
    struct mask *mask; // NULL without `unmask`
    unsigned lane_bits;
    uint8_t block[ABREAST][BLOCK_BYTES];
};

enum choir_err sum_open(const struct maskset *unmask, unsigned lane_bits, struct sum **out)
{
    struct sum *sum = calloc(1, sizeof *sum);
    enum choir_err err = CHOIR_OK;

    assert(lane_bits == 16 || lane_bits == 32);
    if (sum == NULL)
        return CHOIR_ERR_MEMORY;
    sum->unmask = unmask;
    sum->lane_bits = lane_bits;
    if (unmask != NULL)
        err = mask_open(maskset_suite(unmask), &sum->mask);
    if (err == CHOIR_OK)
        *out = sum;
    else
        sum_close(sum);
    return err;
}

void sum_close(struct sum *sum)
{
    if (sum == NULL)
        return;
    mask_close(sum->mask);
    free(sum);
}

INLINE uint32_t lane32(const uint8_t *from)
{
    uint32_t lane;

    memcpy(&lane, from, sizeof lane);
    return le32toh(lane);
}

INLINE uint16_t lane16(const uint8_t *from)
{
    uint16_t lane;

    memcpy(&lane, from, sizeof lane);
    return le16toh(lane);
}

INLINE void add32(uint8_t *restrict total, const uint8_t *const *parts, size_t at, size_t len)
{
    const uint8_t *a = parts[0] + at, *b = parts[1] + at, *c = parts[2] + at, *d = parts[3] + at;

    total += at;
    for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
        uint32_t lane = lane32(total + i);

        lane = htole32(lane + lane32(a + i) + lane32(b + i) + lane32(c + i) + lane32(d + i));
        memcpy(total + i, &lane, sizeof lane);
    }
}

INLINE void add16(uint8_t *restrict total, const uint8_t *const *parts, size_t at, size_t len)
{
    const uint8_t *a = parts[0] + at, *b = parts[1] + at, *c = parts[2] + at, *d = parts[3] + at;

    total += at;
    for (size_t i = 0; i < len; i += sizeof(uint16_t)) {
        uint16_t lane = lane16(total + i);

        lane = htole16(
            (uint16_t)(lane + lane16(a + i) + lane16(b + i) + lane16(c + i) + lane16(d + i)));
        memcpy(total + i, &lane, sizeof lane);
    }
}

typedef void combine(uint8_t *restrict total, const uint8_t *const *parts, size_t at, size_t len);

// Tiles have a constant length, so that their loop becomes straight vector code; then the rest.
INLINE void in_tiles(combine *step, uint8_t *restrict total, const uint8_t *const *parts,
                     size_t len)
{
    size_t at = 0;

    for (; len - at >= TILE_BYTES; at += TILE_BYTES)
        step(total, parts, at, TILE_BYTES);
    step(total, parts, at, len - at);
}

CLONES static void add_abreast(unsigned lane_bits, uint8_t *restrict total,
                               const uint8_t *const parts[static ABREAST], size_t len)
{
    if (lane_bits == 32)
        in_tiles(add32, total, parts, len);
    else
        in_tiles(add16, total, parts, len);
}

static const uint8_t zeros[BLOCK_BYTES]; // stands in where fewer than ABREAST parts are left

void sum_parts(unsigned lane_bits, const uint8_t *const *parts, size_t n, uint8_t *total,
               size_t len)
{
    assert((lane_bits == 16 || lane_bits == 32) && len % (lane_bits / 8) == 0);
    memset(total, 0, len);
    for (size_t at = 0, piece; at < len; at += piece) {
        piece = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        for (size_t i = 0; i < n; i += ABREAST) {
            const uint8_t *abreast[ABREAST];

            for (size_t k = 0; k < ABREAST; k++)
                abreast[k] = i + k < n ? parts[i + k] + at : zeros;
            add_abreast(lane_bits, total + at, abreast, piece);
        }
    }
}

// One block of all vectors.
static enum choir_err add_block(struct sum *sum, const struct sum_source *source, uint64_t offset,
                                uint8_t *total, size_t len)
{
    memset(total, 0, len);
    for (size_t i = 0; i < source->n; i += ABREAST) {
        const uint8_t *abreast[ABREAST];

        for (size_t k = 0; k < ABREAST; k++) {
            enum choir_err err = CHOIR_OK;

            if (i + k < source->n)
                err = source->read(source->context, i + k, offset, sum->block[k], len);
            if (err != CHOIR_OK)
                return err;
            abreast[k] = i + k < source->n ? sum->block[k] : zeros;
        }
        add_abreast(sum->lane_bits, total, abreast, len);
    }
    return CHOIR_OK;
}

enum choir_err sum_segment(struct sum *sum, const struct sum_source *source, uint32_t segment,
                           uint64_t offset, uint8_t *total, size_t len)
{
    assert(len % (sum->lane_bits / 8) == 0);
    for (size_t at = 0, piece; at < len; at += piece) {
        enum choir_err err;

        piece = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        err = add_block(sum, source, offset + at, total + at, piece);
        if (err != CHOIR_OK)
            return err;
    }
    if (sum->unmask != NULL)
        maskset_apply(sum->unmask, sum->mask, segment, sum->lane_bits, 0, total, len);
    return CHOIR_OK;
}
