#include "crypto/maskset.h"

#include <assert.h>
#include <string.h>

#include "crypto/locked.h"

struct term {
    uint8_t seed[MASK_SEED_BYTES];
    uint8_t sign; // enum mask_sign
};

struct maskset {
    size_t n, max;
    uint16_t suite;
    struct term term[]; // [max]
};

enum choir_err maskset_new(uint16_t suite, size_t max, struct maskset **out)
{
    struct maskset *set;

    assert(max >= 1);
    if (suite < MASK_AES256 || suite > MASK_SM4)
        return CHOIR_ERR_REFUSED;
    if (max > (SIZE_MAX - sizeof *set) / sizeof set->term[0])
        return CHOIR_ERR_MEMORY;
    set = locked_new(sizeof *set + max * sizeof set->term[0]);
    if (set == NULL)
        return CHOIR_ERR_MEMORY;
    set->suite = suite;
    set->max = max;
    *out = set;
    return CHOIR_OK;
}

void maskset_free(struct maskset *set)
{
    locked_free(set); // wipes
}

void maskset_add(struct maskset *set, enum mask_sign sign,
                 const uint8_t seed[static MASK_SEED_BYTES])
{
    struct term *term = &set->term[set->n];

    assert(set->n < set->max);
    memcpy(term->seed, seed, MASK_SEED_BYTES);
    term->sign = (uint8_t)sign;
    set->n++;
}

size_t maskset_count(const struct maskset *set)
{
    return set->n;
}

uint16_t maskset_suite(const struct maskset *set)
{
    return set->suite;
}

void maskset_apply(const struct maskset *set, struct mask *worker, uint32_t segment,
                   unsigned lane_bits, uint64_t offset, uint8_t *lanes, size_t len)
{
    assert(mask_suite(worker) == set->suite);
    for (size_t i = 0; i < set->n; i++) {
        mask_begin(worker, set->term[i].seed, segment);
        mask_apply(worker, (enum mask_sign)set->term[i].sign, lane_bits, offset, lanes, len);
    }
}
