#include "crypto/shamir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/hkdf.h"
#include "crypto/rng.h"

enum { BYTES = SHAMIR_SCALAR_BYTES, MOST = 40, DRAWS = 25600 };

// Small, far apart, the greatest that is allowed, and 0; x = site + 1.
static const uint32_t some_sites[] = {1, 2, 3, 9, 70000, UINT32_MAX - 1, 0};
static const char order[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

static int start(void **state)
{
    (void)state;
    return rng_start() == CHOIR_OK ? 0 : -1;
}

struct split {
    size_t n, threshold;
    uint32_t sites[MOST];
    uint8_t secret[BYTES];
    struct shamir_share shares[MOST];
};

static struct split split_among(const uint32_t *sites, size_t n, size_t threshold)
{
    struct split split = {.n = n, .threshold = threshold};

    for (size_t i = 0; i < n; i++)
        split.sites[i] = sites == NULL ? (uint32_t)(3 * i + 1) : sites[i];
    shamir_random(split.secret);
    assert_int_equal(shamir_split(split.secret, threshold, split.sites, n, split.shares), CHOIR_OK);
    return split;
}

static struct shamir_set *set_of(const struct split *split)
{
    struct shamir_set *set = NULL;

    assert_int_equal(shamir_set_new(split->sites, split->n, split->threshold, &set), CHOIR_OK);
    return set;
}

// The shares whose bit is set in `chosen`.
static struct split subset(const struct split *split, unsigned chosen)
{
    struct split some = {.threshold = split->threshold};

    for (size_t i = 0; i < split->n; i++)
        if (chosen >> i & 1U) {
            some.sites[some.n] = split->sites[i];
            some.shares[some.n++] = split->shares[i];
        }
    return some;
}

static void every_choice_of_enough_shares_restores_the_secret(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 7; n++)
        for (size_t threshold = 1; threshold <= n; threshold++) {
            struct split split = split_among(some_sites, n, threshold);

            for (unsigned chosen = 0; chosen < 1U << n; chosen++) {
                struct split some = subset(&split, chosen);
                struct shamir_set *set = NULL;
                uint8_t secret[BYTES];

                if (some.n < threshold) {
                    assert_int_equal(shamir_set_new(some.sites, some.n, threshold, &set),
                                     CHOIR_ERR_FORMAT);
                    continue;
                }
                set = set_of(&some);
                assert_int_equal(shamir_combine(set, some.shares, secret), CHOIR_OK);
                assert_memory_equal(secret, split.secret, BYTES);
                assert_true(shamir_is_consistent(set, some.shares));
                shamir_set_free(set);
            }
        }
}

static void a_seed_determines_the_polynomial(void **state)
{
    static const uint8_t seed[SHAMIR_SEED_BYTES] = {1}, other_seed[SHAMIR_SEED_BYTES] = {2};
    uint8_t secret[BYTES], c[BYTES], wide[SHAMIR_WIDE_BYTES];
    struct shamir_share shares[7], again[7], others[7];
    struct shamir_set *set = NULL;

    (void)state;
    shamir_random(secret);
    assert_int_equal(shamir_split_seeded(secret, seed, 4, some_sites, 7, shares), CHOIR_OK);
    assert_int_equal(shamir_split_seeded(secret, seed, 4, some_sites, 7, again), CHOIR_OK);
    assert_int_equal(shamir_split_seeded(secret, other_seed, 4, some_sites, 7, others), CHOIR_OK);
    assert_memory_equal(shares, again, sizeof shares);
    for (size_t i = 0; i < 7; i++)
        assert_memory_not_equal(shares[i].bytes, others[i].bytes, BYTES);
    assert_int_equal(shamir_set_new(some_sites, 7, 4, &set), CHOIR_OK);
    assert_true(shamir_is_consistent(set, shares));
    assert_int_equal(shamir_combine(set, shares, wide), CHOIR_OK);
    assert_memory_equal(wide, secret, BYTES);
    shamir_set_free(set);

    memset(secret, 0, BYTES); // then the share at x = 1, of site 0, is the coefficient itself
    assert_int_equal(shamir_split_seeded(secret, seed, 2, (const uint32_t[]){0, 5}, 2, shares),
                     CHOIR_OK);
    hkdf_expand(HKDF_SHA256, wide, sizeof wide, seed, "coefficient\1\0\0", 15);
    shamir_reduce(c, wide);
    assert_memory_equal(shares[0].bytes, c, BYTES);
}

// T - 1 shares, taken as if T - 1 were enough, give something else.
static void one_share_too_few_gives_another_secret(void **state)
{
    (void)state;
    for (size_t threshold = 2; threshold <= 7; threshold++) {
        struct split split = split_among(some_sites, 7, threshold);
        struct shamir_set *set = NULL;
        uint8_t secret[BYTES];

        split.threshold = split.n = threshold - 1;
        set = set_of(&split);
        assert_int_equal(shamir_combine(set, split.shares, secret), CHOIR_OK);
        assert_memory_not_equal(secret, split.secret, BYTES);
        shamir_set_free(set);
    }
}

// The low byte of both of T - 1 = 2 shares of one secret. Fresh randomness: chi-squared with 255
// degrees of freedom exceeds 380 with probability 7e-7, twice.
static void one_share_too_few_is_uniform(void **state)
{
    static size_t n[2][256];
    uint8_t secret[BYTES] = {42};

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        static const uint32_t sites[] = {1, 2, 3};
        struct shamir_share shares[3];

        assert_int_equal(shamir_split(secret, 3, sites, 3, shares), CHOIR_OK);
        n[0][shares[0].bytes[0]]++;
        n[1][shares[1].bytes[0]]++;
    }
    for (size_t k = 0; k < 2; k++) {
        double chi_squared = 0, expected = DRAWS / 256.0;

        for (size_t i = 0; i < 256; i++)
            chi_squared += ((double)n[k][i] - expected) * ((double)n[k][i] - expected) / expected;
        assert_true(chi_squared < 380.0);
    }
}

static void one_set_of_sites_restores_many_secrets(void **state)
{
    struct split split = split_among(NULL, 10, 7);
    struct shamir_set *set = set_of(&split);

    (void)state;
    for (int i = 0; i < 20; i++) {
        uint8_t secret[BYTES];

        split = split_among(NULL, 10, 7);
        assert_int_equal(shamir_combine(set, split.shares, secret), CHOIR_OK);
        assert_memory_equal(secret, split.secret, BYTES);
    }
    shamir_set_free(set);
}

static void malformed_lists_are_refused(void **state)
{
    static const uint32_t twice[] = {1, 2, 1}, zero_x[] = {1, UINT32_MAX, 2}, good[] = {1, 2, 3};
    uint8_t secret[BYTES] = {1};
    struct shamir_share shares[3];
    struct shamir_set *set = NULL;

    (void)state;
    assert_int_equal(shamir_split(secret, 2, twice, 3, shares), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_split(secret, 2, zero_x, 3, shares), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_split(secret, 0, good, 3, shares), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_split(secret, 4, good, 3, shares), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_split(secret, 1, good, SHAMIR_SITES_MAX + 1, shares), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_set_new(twice, 3, 2, &set), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_set_new(zero_x, 3, 2, &set), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_set_new(good, 3, 0, &set), CHOIR_ERR_FORMAT);
    assert_int_equal(shamir_set_new(good, 0, 0, &set), CHOIR_ERR_FORMAT);
    assert_null(set);
    shamir_set_free(NULL);
}

static void values_at_or_above_the_order_are_refused(void **state)
{
    struct split split = split_among(some_sites, 3, 2);
    struct shamir_set *set = set_of(&split);
    uint8_t secret[BYTES], at[BYTES], below[BYTES], all_ones[BYTES];

    (void)state;
    assert_int_equal(hex_get(at, BYTES, order), CHOIR_OK);
    memcpy(below, at, BYTES);
    below[0]--;
    memset(all_ones, 0xff, BYTES);
    assert_true(shamir_is_canonical(below));
    assert_false(shamir_is_canonical(at));
    assert_false(shamir_is_canonical(all_ones));
    assert_int_equal(shamir_split(at, 2, some_sites, 3, split.shares), CHOIR_ERR_FORMAT);
    memcpy(split.shares[1].bytes, at, BYTES);
    assert_int_equal(shamir_combine(set, split.shares, secret), CHOIR_ERR_FORMAT);
    assert_false(shamir_is_consistent(set, split.shares));
    shamir_set_free(set);
}

static void zero_and_the_greatest_secret_can_be_shared(void **state)
{
    uint8_t secrets[2][BYTES] = {{0}}, secret[BYTES];
    struct shamir_share shares[5];
    struct shamir_set *set = NULL;

    (void)state;
    assert_int_equal(hex_get(secrets[1], BYTES, order), CHOIR_OK);
    secrets[1][0]--;
    assert_int_equal(shamir_set_new(some_sites, 5, 3, &set), CHOIR_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(shamir_split(secrets[i], 3, some_sites, 5, shares), CHOIR_OK);
        assert_int_equal(shamir_combine(set, shares, secret), CHOIR_OK);
        assert_memory_equal(secret, secrets[i], BYTES);
    }
    shamir_set_free(set);
}

static void one_changed_bit_in_any_share_is_inconsistent(void **state)
{
    struct split split = split_among(some_sites, 7, 6);
    struct shamir_set *set = set_of(&split);

    (void)state;
    for (size_t i = 0; i < 7; i++)
        for (size_t bit = 0; bit < 252; bit++) {
            split.shares[i].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(shamir_is_consistent(set, split.shares));
            split.shares[i].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    assert_true(shamir_is_consistent(set, split.shares));
    shamir_set_free(set);
}

// All shares lie on one polynomial, but on one that needs more of them than was agreed.
static void a_polynomial_of_higher_degree_is_inconsistent(void **state)
{
    (void)state;
    for (size_t threshold = 1; threshold < 7; threshold++)
        for (size_t dealt = threshold + 1; dealt <= 7; dealt++) {
            struct split split = split_among(some_sites, 7, dealt);
            struct shamir_set *set = NULL;

            split.threshold = threshold;
            set = set_of(&split);
            assert_false(shamir_is_consistent(set, split.shares));
            shamir_set_free(set);
        }
}

static bool is_the_secret(const uint8_t secret[static SHAMIR_SCALAR_BYTES], void *context)
{
    return memcmp(secret, context, BYTES) == 0;
}

// Spoils the shares whose bit is set in `spoiled` and sees what is recovered.
static void assert_recovered(struct split *split, uint64_t spoiled, enum choir_err expected)
{
    struct shamir_set *set = set_of(split);
    bool bad[MOST] = {false};
    uint8_t secret[BYTES] = {0};

    for (size_t i = 0; i < split->n; i++)
        if (spoiled >> i & 1U)
            split->shares[i].bytes[i % 31] ^= 0x10;
    assert_int_equal(shamir_recover(set, split->shares, is_the_secret, split->secret, secret, bad),
                     expected);
    for (size_t i = 0; i < split->n && expected == CHOIR_OK; i++)
        assert_int_equal(bad[i], spoiled >> i & 1U);
    if (expected == CHOIR_OK)
        assert_memory_equal(secret, split->secret, BYTES);
    shamir_set_free(set);
}

static void every_wrong_share_is_named_while_enough_are_right(void **state)
{
    (void)state;
    for (uint64_t spoiled = 0; spoiled < 1U << 7; spoiled++) {
        struct split split = split_among(some_sites, 7, 4);
        int right = 7 - __builtin_popcountll(spoiled);

        assert_recovered(&split, spoiled, right >= 4 ? CHOIR_OK : CHOIR_ERR_FORGED);
    }
}

static void a_wrong_share_without_a_spare_one_is_noticed(void **state)
{
    struct split split = split_among(some_sites, 5, 5);

    (void)state;
    assert_recovered(&split, 1U << 3, CHOIR_ERR_FORGED);
}

// 40 over 27 choices are too many for all: one at random holds no wrong share with probability
// (13/40)(12/39) = 1/10, so 4096 of them all fail with probability below 1e-180.
static void wrong_shares_among_many_are_named(void **state)
{
    struct split split = split_among(NULL, 40, 27);

    (void)state;
    assert_recovered(&split, UINT64_C(1) << 2 | UINT64_C(1) << 38, CHOIR_OK);
}

static void a_share_above_the_order_counts_as_wrong(void **state)
{
    struct split split = split_among(some_sites, 5, 3);
    struct shamir_set *set = set_of(&split);
    bool bad[5];
    uint8_t secret[BYTES];

    (void)state;
    memset(split.shares[0].bytes, 0xff, BYTES);
    assert_int_equal(shamir_recover(set, split.shares, is_the_secret, split.secret, secret, bad),
                     CHOIR_OK);
    assert_memory_equal(secret, split.secret, BYTES);
    assert_true(bad[0] && !bad[1] && !bad[2] && !bad[3] && !bad[4]);
    shamir_set_free(set);
}

// Shares of another secret, all on one polynomial: no choice of them can be right.
static void shares_of_another_secret_are_refused(void **state)
{
    struct split split = split_among(some_sites, 7, 4);

    (void)state;
    split.secret[0] ^= 1;
    assert_recovered(&split, 0, CHOIR_ERR_FORGED);
}

static void random_secrets_are_canonical_and_differ(void **state)
{
    uint8_t a[BYTES], b[BYTES];

    (void)state;
    shamir_random(a);
    shamir_random(b);
    assert_true(shamir_is_canonical(a) && shamir_is_canonical(b));
    assert_memory_not_equal(a, b, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_choice_of_enough_shares_restores_the_secret),
        cmocka_unit_test(a_seed_determines_the_polynomial),
        cmocka_unit_test(one_share_too_few_gives_another_secret),
        cmocka_unit_test(one_share_too_few_is_uniform),
        cmocka_unit_test(one_set_of_sites_restores_many_secrets),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(values_at_or_above_the_order_are_refused),
        cmocka_unit_test(zero_and_the_greatest_secret_can_be_shared),
        cmocka_unit_test(one_changed_bit_in_any_share_is_inconsistent),
        cmocka_unit_test(a_polynomial_of_higher_degree_is_inconsistent),
        cmocka_unit_test(every_wrong_share_is_named_while_enough_are_right),
        cmocka_unit_test(a_wrong_share_without_a_spare_one_is_noticed),
        cmocka_unit_test(wrong_shares_among_many_are_named),
        cmocka_unit_test(a_share_above_the_order_counts_as_wrong),
        cmocka_unit_test(shares_of_another_secret_are_refused),
        cmocka_unit_test(random_secrets_are_canonical_and_differ),
    };

    return cmocka_run_group_tests_name("shamir", tests, start, NULL);
}
