/* What the wire and the aggregator see of a site: words that cannot be told from random ones, and
 * those of one data set not from those of another.
 *
 * Each judgement wrongly says no to truly random words with a probability of at most ALPHA =
 * 2e-8, and 28 are made, so all together at most 6e-7:
 *   - chi-square over the bytes, 255 degrees of freedom: P(X >= k + 2 sqrt(k t) + 2 t) <= exp(-t)
 *     (Laurent and Massart, Ann. Statist. 28, 2000), here with t = ln(1 / ALPHA);
 *   - Kolmogorov-Smirnov of the 32-bit words against uniform: P(sqrt(n) D > l) <= 2 exp(-2 l^2)
 *     (Dvoretzky, Kiefer, Wolfowitz, with Massart's constant, 1990);
 *   - the same between the words of two data sets of n words each: P(sqrt(n/2) D > l) <=
 *     2 exp(-2 l^2) for n >= 458 (Wei and Dudley, 2012).
 * Seeds come from one that is printed; CHOIR_TEST_SEED (64 hex digits) repeats a run.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "crypto/rng.h"
#include "node/cargo.h"
#include "privacy/quantize.h"

#define ALPHA 2e-8

enum {
    WORDS = 1000000, // looked at: as many parameters at 32 bits, twice as many at 16
    PARAMETERS_MAX = 2 * WORDS,
    BYTES_MAX = 4 * (WORDS + PARAMETERS_MAX / QUANTIZE_SEGMENT_VALUES + 1),
    NEIGHBOURS = 3,
};

static struct rng *stream;
static uint8_t one[BYTES_MAX], two[BYTES_MAX], difference[BYTES_MAX];

static size_t parameters(uint32_t lane_bits)
{
    return (size_t)WORDS * 32 / lane_bits;
}

/* Two sites' updates as they are: small and around zero, and large with many zeros. */
static size_t make_update(uint32_t lane_bits, bool large, uint8_t *to)
{
    static float values[PARAMETERS_MAX];
    struct quantize_layout layout;

    for (size_t i = 0; i < parameters(lane_bits); i++)
        values[i] = (float)(large ? (rng_below(stream, 2) == 0 ? 0.0 : 0.9)
                                  : 0.01 * (rng_unit(stream) - rng_unit(stream)));
    assert_int_equal(quantize_layout_make(parameters(lane_bits), lane_bits, 10, 1.0, &layout),
                     CHOIR_OK);
    assert_true(layout.n_bytes <= sizeof one);
    assert_int_equal(quantize_encode(&layout, values, to), CHOIR_OK);
    return layout.n_bytes;
}

static struct maskset *fresh_masks(uint16_t suite)
{
    struct maskset *masks;

    assert_int_equal(maskset_new(suite, NEIGHBOURS + 1, &masks), CHOIR_OK);
    for (size_t i = 0; i <= NEIGHBOURS; i++) {
        uint8_t seed[MASK_SEED_BYTES];

        rng_fill(stream, seed, sizeof seed);
        maskset_add(masks, i % 2 == 0 ? MASK_ADD : MASK_SUBTRACT, seed);
    }
    return masks;
}

// Through the courier's own way: what stands in the scratch file is what is sent.
static void mask(const struct maskset *masks, uint32_t lane_bits, uint8_t *bytes, size_t len)
{
    int scratch = memfd_create("scratch", MFD_CLOEXEC), plain = memfd_create("plain", MFD_CLOEXEC);
    const struct cargo_masks how = {
        .n_parameters = parameters(lane_bits), .lane_bits = lane_bits, .masks = masks};
    struct site_update update = {.digest = {7}};
    enum cargo_news news = CARGO_NOTHING;
    struct cargo *cargo;

    assert_int_equal(pwrite(plain, bytes, len, 0), (ssize_t)len);
    assert_int_equal(cargo_new(4, scratch, &cargo), CHOIR_OK);
    assert_int_equal(cargo_keep(cargo, &update, true, plain), CHOIR_OK);
    assert_int_equal(cargo_mask(cargo, update.digest, &how), CHOIR_OK);
    while (news == CARGO_NOTHING)
        assert_int_equal(cargo_work(cargo, &news), CHOIR_OK);
    assert_int_equal(news, CARGO_MASKED);
    assert_int_equal(pread(scratch, bytes, len, 0), (ssize_t)len);
    cargo_free(cargo);
    close(scratch);
}

static bool bytes_look_uniform(const uint8_t *bytes)
{
    const double k = 255, t = log(1 / ALPHA), expected = WORDS * 4.0 / 256;
    uint64_t seen[256] = {0};
    double sum = 0;

    for (size_t i = 0; i < (size_t)WORDS * 4; i++)
        seen[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        sum += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    return sum < k + 2 * sqrt(k * t) + 2 * t;
}

// By digits of 16 bits, the lower first.
static void sorted_words(const uint8_t *bytes, uint32_t *words)
{
    static uint32_t half[WORDS], first[2][1 << 16];

    memset(first, 0, sizeof first);
    for (size_t i = 0; i < WORDS; i++) {
        uint32_t word = get_u32(bytes + 4 * i);

        first[0][word & UINT16_MAX]++;
        first[1][word >> 16]++;
    }
    for (size_t digit = 0; digit < 2; digit++)
        for (uint32_t i = 0, at = 0; i < 1 << 16; i++) {
            uint32_t n = first[digit][i];

            first[digit][i] = at;
            at += n;
        }
    for (size_t i = 0; i < WORDS; i++) {
        uint32_t word = get_u32(bytes + 4 * i);

        half[first[0][word & UINT16_MAX]++] = word;
    }
    for (size_t i = 0; i < WORDS; i++)
        words[first[1][half[i] >> 16]++] = half[i];
}

static double distance_allowed(double n)
{
    return sqrt(log(2 / ALPHA) / 2) / sqrt(n);
}

static bool words_look_uniform(const uint8_t *bytes)
{
    static uint32_t words[WORDS];
    double most = 0;

    sorted_words(bytes, words);
    for (size_t i = 0; i < WORDS; i++) {
        double f = ldexp((double)words[i] + 0.5, -32);

        most = fmax(most, fmax(f - (double)i / WORDS, ((double)i + 1) / WORDS - f));
    }
    return most <= distance_allowed(WORDS);
}

static bool look_alike(const uint8_t *a, const uint8_t *b)
{
    static uint32_t x[WORDS], y[WORDS];
    double most = 0;

    sorted_words(a, x);
    sorted_words(b, y);
    for (size_t i = 0, k = 0; i < WORDS && k < WORDS;) {
        uint32_t at = x[i] < y[k] ? x[i] : y[k];

        while (i < WORDS && x[i] == at)
            i++;
        while (k < WORDS && y[k] == at)
            k++;
        most = fmax(most, fabs((double)i - (double)k) / WORDS);
    }
    return most <= distance_allowed(WORDS / 2.0);
}

static void subtract(uint32_t lane_bits, const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i += lane_bits / 8)
        if (lane_bits == 32)
            put_u32(difference + i, get_u32(a + i) - get_u32(b + i));
        else
            put_u16(difference + i, (uint16_t)(get_u16(a + i) - get_u16(b + i)));
}

// Seven judgements.
static void judge(uint16_t suite, uint32_t lane_bits)
{
    struct maskset *of_one = fresh_masks(suite), *of_two = fresh_masks(suite);
    size_t len = make_update(lane_bits, false, one);

    assert_int_equal(make_update(lane_bits, true, two), len);
    mask(of_one, lane_bits, one, len);
    mask(of_two, lane_bits, two, len);
    assert_true(bytes_look_uniform(one));
    assert_true(bytes_look_uniform(two));
    assert_true(words_look_uniform(one));
    assert_true(words_look_uniform(two));
    assert_true(look_alike(one, two));
    subtract(lane_bits, one, two, len);
    assert_true(bytes_look_uniform(difference));
    assert_true(words_look_uniform(difference));
    maskset_free(of_one);
    maskset_free(of_two);
}

static void masked_words_of_two_data_sets_cannot_be_told_apart(void **state)
{
    (void)state;
    judge(MASK_AES256, 32);
    judge(MASK_AES256, 16);
    judge(MASK_CHACHA20, 32);
}

static void nor_with_sm4_where_it_is_offered(void **state)
{
    struct mask *offered;

    (void)state;
    if (mask_open(MASK_SM4, &offered) != CHOIR_OK)
        skip();
    mask_close(offered);
    judge(MASK_SM4, 32);
}

// What the judgements are worth: each of them sees the same words without masks.
static void without_masks_every_one_of_these_tests_fails(void **state)
{
    (void)state;
    for (uint32_t lane_bits = 16; lane_bits <= 32; lane_bits += 16) {
        size_t len = make_update(lane_bits, false, one);

        (void)make_update(lane_bits, true, two);
        assert_false(bytes_look_uniform(one));
        assert_false(bytes_look_uniform(two));
        assert_false(words_look_uniform(one));
        assert_false(words_look_uniform(two));
        assert_false(look_alike(one, two));
        subtract(lane_bits, one, two, len);
        assert_false(bytes_look_uniform(difference));
        assert_false(words_look_uniform(difference));
    }
}

// Two vectors under one mask each look random; their difference is that of the data.
static void masks_that_are_used_twice_are_found_by_the_difference(void **state)
{
    struct maskset *both = fresh_masks(MASK_AES256);
    size_t len = make_update(32, false, one);

    (void)state;
    (void)make_update(32, true, two);
    mask(both, 32, one, len);
    mask(both, 32, two, len);
    subtract(32, one, two, len);
    assert_false(bytes_look_uniform(difference));
    assert_false(words_look_uniform(difference));
    maskset_free(both);
}

static int seed_the_stream(void **state)
{
    const char *given = getenv("CHOIR_TEST_SEED"); // NOLINT(concurrency-mt-unsafe)
    uint8_t seed[RNG_SEED_BYTES];
    char text[2 * RNG_SEED_BYTES + 1];

    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    rng_bytes(seed, sizeof seed);
    if (given != NULL && hex_get(seed, sizeof seed, given) != CHOIR_OK)
        return -1;
    hex_put(text, seed, sizeof seed);
    print_message("# CHOIR_TEST_SEED=%s\n", text);
    return rng_open_seeded("masked words", seed, &stream) == CHOIR_OK ? 0 : -1;
}

static int close_the_stream(void **state)
{
    (void)state;
    rng_close(stream);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masked_words_of_two_data_sets_cannot_be_told_apart),
        cmocka_unit_test(nor_with_sm4_where_it_is_offered),
        cmocka_unit_test(without_masks_every_one_of_these_tests_fails),
        cmocka_unit_test(masks_that_are_used_twice_are_found_by_the_difference),
    };

    return cmocka_run_group_tests(tests, seed_the_stream, close_the_stream);
}
