#include "crypto/shamir.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/bytes.h"
#include "crypto/hkdf.h"
#include "crypto/rng.h"

static_assert((int)SHAMIR_SCALAR_BYTES == (int)crypto_core_ristretto255_SCALARBYTES,
              "one scalar of libsodium");
static_assert((int)SHAMIR_WIDE_BYTES == (int)crypto_core_ristretto255_NONREDUCEDSCALARBYTES,
              "what libsodium reduces");

// The library's arithmetic leaves operands behind on the stack, this deep at most; whoever handled
// secrets wipes there at the end. Compilers too put parts of what they copy there; such steps stand
// apart, in frames that are wiped with the rest.
enum { STACK_USED = 8192 };
#define APART __attribute__((noinline))

struct scalar {
    uint8_t bytes[SHAMIR_SCALAR_BYTES];
};

struct shamir_set {
    size_t n, threshold;
    uint32_t *sites;        // [n]
    struct scalar *at_zero; // [threshold] Lagrange coefficients of the first sites, at x = 0
    struct scalar *check;   // [n] a random word of the dual code; unused if n == threshold
};

void shamir_random(uint8_t secret[static SHAMIR_SCALAR_BYTES])
{
    crypto_core_ristretto255_scalar_random(secret);
}

void shamir_reduce(uint8_t scalar[static SHAMIR_SCALAR_BYTES],
                   const uint8_t wide[static SHAMIR_WIDE_BYTES])
{
    crypto_core_ristretto255_scalar_reduce(scalar, wide);
    sodium_stackzero(STACK_USED);
}

bool shamir_is_canonical(const uint8_t scalar[static SHAMIR_SCALAR_BYTES])
{
    uint8_t wide[crypto_core_ristretto255_NONREDUCEDSCALARBYTES] = {0};
    struct scalar reduced;
    bool canonical;

    memcpy(wide, scalar, SHAMIR_SCALAR_BYTES);
    crypto_core_ristretto255_scalar_reduce(reduced.bytes, wide);
    canonical = sodium_memcmp(reduced.bytes, scalar, SHAMIR_SCALAR_BYTES) == 0;
    sodium_memzero(wide, sizeof wide);
    sodium_memzero(&reduced, sizeof reduced);
    sodium_stackzero(STACK_USED);
    return canonical;
}

static void multiply(struct scalar *by, const struct scalar *factor)
{
    crypto_core_ristretto255_scalar_mul(by->bytes, by->bytes, factor->bytes);
}

// sum += a * b
APART static void add_product(struct scalar *sum, const struct scalar *a, const struct scalar *b)
{
    struct scalar product;

    crypto_core_ristretto255_scalar_mul(product.bytes, a->bytes, b->bytes);
    crypto_core_ristretto255_scalar_add(sum->bytes, sum->bytes, product.bytes);
    sodium_memzero(&product, sizeof product);
}

static struct scalar small(uint64_t value)
{
    struct scalar scalar = {{0}};

    (void)put_u64(scalar.bytes, value);
    return scalar;
}

static uint64_t x_of(uint32_t site)
{
    return (uint64_t)site + 1;
}

// Uniform in Z_l: 512 random bits, so that the remainder favours none by more than 2^-259.
static void random_scalar(struct scalar *scalar)
{
    uint8_t wide[SHAMIR_WIDE_BYTES];

    rng_bytes(wide, sizeof wide);
    crypto_core_ristretto255_scalar_reduce(scalar->bytes, wide);
    sodium_memzero(wide, sizeof wide);
}

// Coefficient k of the polynomial that `seed` determines.
static void derived_scalar(struct scalar *scalar, const uint8_t *seed, size_t k)
{
    static const char label[] = "coefficient";
    uint8_t info[sizeof label - 1 + 4], wide[SHAMIR_WIDE_BYTES];

    (void)put_u32(put_bytes(info, label, sizeof label - 1), (uint32_t)k);
    hkdf_expand(HKDF_SHA256, wide, sizeof wide, seed, info, sizeof info);
    crypto_core_ristretto255_scalar_reduce(scalar->bytes, wide);
    sodium_memzero(wide, sizeof wide);
}

static int by_id(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static enum choir_err check_sites(const uint32_t *sites, size_t n, size_t threshold)
{
    uint32_t sorted[SHAMIR_SITES_MAX];

    if (threshold == 0 || threshold > n || n > SHAMIR_SITES_MAX)
        return CHOIR_ERR_FORMAT;
    memcpy(sorted, sites, n * sizeof *sites);
    qsort(sorted, n, sizeof *sorted, by_id);
    for (size_t i = 1; i < n; i++)
        if (sorted[i] == sorted[i - 1])
            return CHOIR_ERR_FORMAT;
    return sorted[n - 1] == UINT32_MAX ? CHOIR_ERR_FORMAT : CHOIR_OK;
}

// coefficients[0] + coefficients[1] x + ...: `n` of them, by Horner's rule.
APART static void evaluate(struct scalar *value, const struct scalar *coefficients, size_t n,
                           uint64_t x)
{
    struct scalar at = small(x);

    *value = coefficients[n - 1];
    for (size_t k = n - 1; k-- > 0;) {
        multiply(value, &at);
        crypto_core_ristretto255_scalar_add(value->bytes, value->bytes, coefficients[k].bytes);
    }
}

// A polynomial of n coefficients whose value at 0 is `secret`; random, or by `seed` if not NULL.
APART static void draw(struct scalar *coefficients, size_t n,
                       const uint8_t secret[static SHAMIR_SCALAR_BYTES], const uint8_t *seed)
{
    memcpy(coefficients[0].bytes, secret, SHAMIR_SCALAR_BYTES);
    for (size_t k = 1; k < n; k++) {
        if (seed == NULL)
            random_scalar(&coefficients[k]);
        else
            derived_scalar(&coefficients[k], seed, k);
    }
}

static enum choir_err split(const uint8_t secret[static SHAMIR_SCALAR_BYTES], const uint8_t *seed,
                            size_t threshold, const uint32_t *sites, size_t n,
                            struct shamir_share *shares)
{
    enum choir_err err = check_sites(sites, n, threshold);
    struct scalar *coefficients = NULL, share;

    if (err == CHOIR_OK && !shamir_is_canonical(secret))
        err = CHOIR_ERR_FORMAT;
    if (err != CHOIR_OK)
        return err;
    coefficients = sodium_allocarray(threshold, sizeof *coefficients);
    if (coefficients == NULL)
        return CHOIR_ERR_MEMORY;
    draw(coefficients, threshold, secret, seed);
    for (size_t i = 0; i < n; i++) {
        evaluate(&share, coefficients, threshold, x_of(sites[i]));
        memcpy(shares[i].bytes, share.bytes, SHAMIR_SCALAR_BYTES);
    }
    sodium_memzero(&share, sizeof share);
    sodium_free(coefficients); // wipes
    sodium_stackzero(STACK_USED);
    return CHOIR_OK;
}

enum choir_err shamir_split(const uint8_t secret[static SHAMIR_SCALAR_BYTES], size_t threshold,
                            const uint32_t *sites, size_t n, struct shamir_share *shares)
{
    return split(secret, NULL, threshold, sites, n, shares);
}

enum choir_err shamir_split_seeded(const uint8_t secret[static SHAMIR_SCALAR_BYTES],
                                   const uint8_t seed[static SHAMIR_SEED_BYTES], size_t threshold,
                                   const uint32_t *sites, size_t n, struct shamir_share *shares)
{
    return split(secret, seed, threshold, sites, n, shares);
}

// Product over all k != skip of (x - x_k). These are below 2^32 each, so at least two of them go
// into one multiplication of scalars.
static struct scalar product_of_gaps(uint64_t x, const uint32_t *sites, size_t n, size_t skip)
{
    struct scalar product = small(1), factor;
    bool negative = false;
    uint64_t waiting = 1; // gaps that have not been multiplied in yet

    for (size_t k = 0; k < n; k++) {
        uint64_t x_k = x_of(sites[k]), gap = x > x_k ? x - x_k : x_k - x;

        if (k == skip)
            continue;
        negative ^= x < x_k;
        if (waiting >> 32 != 0) {
            factor = small(waiting);
            multiply(&product, &factor);
            waiting = gap;
        } else {
            waiting *= gap;
        }
    }
    factor = small(waiting);
    multiply(&product, &factor);
    if (negative)
        crypto_core_ristretto255_scalar_negate(product.bytes, product.bytes);
    return product;
}

// Replaces each of values[0..n), none 0, by its inverse: one inversion and 3 n products.
static void invert_all(struct scalar *values, struct scalar *room, size_t n)
{
    struct scalar running = small(1), inverse;

    for (size_t i = 0; i < n; i++) {
        room[i] = running; // product of all before i
        multiply(&running, &values[i]);
    }
    int good = crypto_core_ristretto255_scalar_invert(inverse.bytes, running.bytes);

    assert(good == 0);
    for (size_t i = n; i-- > 0;) {
        struct scalar value = values[i];

        values[i] = room[i];
        multiply(&values[i], &inverse);
        multiply(&inverse, &value);
    }
}

// Coefficients with which the values at `sites` make the value at `x`, which is none of theirs:
// product over k != i of (x - x_k) / (x_i - x_k). `room` and `out` are [n].
static void lagrange(uint64_t x, const uint32_t *sites, size_t n, struct scalar *room,
                     struct scalar *out)
{
    struct scalar all = product_of_gaps(x, sites, n, n);

    for (size_t i = 0; i < n; i++) {
        uint64_t x_i = x_of(sites[i]);
        struct scalar gap = small(x > x_i ? x - x_i : x_i - x);

        if (x < x_i)
            crypto_core_ristretto255_scalar_negate(gap.bytes, gap.bytes);
        out[i] = product_of_gaps(x_i, sites, n, i);
        multiply(&out[i], &gap);
    }
    invert_all(out, room, n);
    for (size_t i = 0; i < n; i++)
        multiply(&out[i], &all);
}

// A random word of the code dual to the shares: q(x_i) / product over k != i of (x_i - x_k) with
// q of degree below n - threshold. Its product with every true list of shares is 0.
static void dual_word(struct shamir_set *set, struct scalar *room)
{
    struct scalar value;

    for (size_t i = 0; i < set->n; i++)
        set->check[i] = product_of_gaps(x_of(set->sites[i]), set->sites, set->n, i);
    invert_all(set->check, room, set->n);
    for (size_t k = 0; k < set->n - set->threshold; k++)
        random_scalar(&room[k]);
    for (size_t i = 0; i < set->n; i++) {
        evaluate(&value, room, set->n - set->threshold, x_of(set->sites[i]));
        multiply(&set->check[i], &value);
    }
}

enum choir_err shamir_set_new(const uint32_t *sites, size_t n, size_t threshold,
                              struct shamir_set **out)
{
    enum choir_err err = check_sites(sites, n, threshold);
    struct shamir_set *set = NULL;
    struct scalar *room = NULL;

    if (err != CHOIR_OK)
        return err;
    err = CHOIR_ERR_MEMORY;
    set = calloc(1, sizeof *set);
    room = calloc(n, sizeof *room);
    if (set == NULL || room == NULL)
        goto out;
    set->n = n;
    set->threshold = threshold;
    set->sites = calloc(n, sizeof *set->sites);
    set->at_zero = calloc(threshold, sizeof *set->at_zero);
    set->check = calloc(n, sizeof *set->check);
    if (set->sites == NULL || set->at_zero == NULL || set->check == NULL)
        goto out;
    memcpy(set->sites, sites, n * sizeof *sites);
    lagrange(0, sites, threshold, room, set->at_zero);
    if (n > threshold)
        dual_word(set, room);

    *out = set;
    set = NULL;
    err = CHOIR_OK;
out:
    free(room);
    shamir_set_free(set);
    return err;
}

void shamir_set_free(struct shamir_set *set)
{
    if (set == NULL)
        return;
    free(set->sites);
    free(set->at_zero);
    free(set->check);
    free(set);
}

// Sum of coefficients[i] * shares[chosen[i]]; all of 0..n - 1 where `chosen` is NULL.
static void weigh(struct scalar *sum, const struct scalar *coefficients,
                  const struct shamir_share *shares, const size_t *chosen, size_t n)
{
    struct scalar share;

    *sum = small(0);
    for (size_t i = 0; i < n; i++) {
        memcpy(share.bytes, shares[chosen == NULL ? i : chosen[i]].bytes, SHAMIR_SCALAR_BYTES);
        add_product(sum, &coefficients[i], &share);
    }
    sodium_memzero(&share, sizeof share);
    sodium_stackzero(STACK_USED);
}

enum choir_err shamir_combine(const struct shamir_set *set, const struct shamir_share *shares,
                              uint8_t secret[static SHAMIR_SCALAR_BYTES])
{
    struct scalar sum;

    for (size_t i = 0; i < set->threshold; i++)
        if (!shamir_is_canonical(shares[i].bytes))
            return CHOIR_ERR_FORMAT;
    weigh(&sum, set->at_zero, shares, NULL, set->threshold);
    memcpy(secret, sum.bytes, SHAMIR_SCALAR_BYTES);
    sodium_memzero(&sum, sizeof sum);
    return CHOIR_OK;
}

bool shamir_is_consistent(const struct shamir_set *set, const struct shamir_share *shares)
{
    struct scalar sum;
    bool all_canonical = true;

    for (size_t i = 0; i < set->n; i++)
        all_canonical &= shamir_is_canonical(shares[i].bytes);
    if (set->n == set->threshold)
        return all_canonical;
    weigh(&sum, set->check, shares, NULL, set->n);
    return all_canonical && sodium_is_zero(sum.bytes, sizeof sum.bytes) == 1;
}

// The choices of `threshold` shares out of those that are canonical, one after the other.
struct search {
    const struct shamir_set *set;
    struct rng *rng;      // NULL: every choice, in lexicographic order
    size_t n_usable;      // canonical shares
    size_t *usable;       // [n] their places in the list of shares
    size_t *places;       // [n] places in `usable`; the first `threshold` are the choice
    size_t *chosen;       // [threshold] places in the list of shares
    uint32_t *sites;      // [threshold] whose shares they are
    struct scalar *room;  // [threshold]
    struct scalar *coefs; // [threshold] Lagrange coefficients of the choice
};

static void search_free(struct search *search)
{
    rng_close(search->rng);
    free(search->usable);
    free(search->places);
    free(search->chosen);
    free(search->sites);
    free(search->room);
    free(search->coefs);
}

// n over k, or `cap` if it is more.
static size_t choices(size_t n, size_t k, size_t cap)
{
    size_t count = 1;

    if (k > n - k)
        k = n - k;
    for (size_t i = 1; i <= k; i++) {
        count = count * (n - k + i) / i;
        if (count >= cap)
            return cap;
    }
    return count;
}

static enum choir_err search_init(struct search *search, const struct shamir_set *set,
                                  const struct shamir_share *shares)
{
    *search = (struct search){.set = set,
                              .usable = calloc(set->n, sizeof(size_t)),
                              .places = calloc(set->n, sizeof(size_t)),
                              .chosen = calloc(set->threshold, sizeof(size_t)),
                              .sites = calloc(set->threshold, sizeof(uint32_t)),
                              .room = calloc(set->threshold, sizeof(struct scalar)),
                              .coefs = calloc(set->threshold, sizeof(struct scalar))};
    if (search->usable == NULL || search->places == NULL || search->chosen == NULL ||
        search->sites == NULL || search->room == NULL || search->coefs == NULL)
        return CHOIR_ERR_MEMORY;
    for (size_t i = 0; i < set->n; i++) {
        search->places[i] = i;
        if (shamir_is_canonical(shares[i].bytes))
            search->usable[search->n_usable++] = i;
    }
    if (search->n_usable < set->threshold)
        return CHOIR_ERR_FORGED;
    if (choices(search->n_usable, set->threshold, SHAMIR_TRIES_MAX + 1) > SHAMIR_TRIES_MAX)
        return rng_open("shamir", &search->rng);
    return CHOIR_OK;
}

static void choose_at_random(struct search *search)
{
    for (size_t i = 0; i < search->set->threshold; i++) {
        size_t k = i + (size_t)rng_below(search->rng, search->n_usable - i);
        size_t place = search->places[k];

        search->places[k] = search->places[i];
        search->places[i] = place;
    }
}

// False if that was the last one.
static bool choose_next(struct search *search)
{
    size_t k = search->set->threshold, free_places = search->n_usable - k;

    while (k > 0 && search->places[k - 1] == k - 1 + free_places)
        k--;
    if (k == 0)
        return false;
    search->places[k - 1]++;
    for (; k < search->set->threshold; k++)
        search->places[k] = search->places[k - 1] + 1;
    return true;
}

static void coefficients_at(struct search *search, uint64_t x)
{
    for (size_t i = 0; i < search->set->threshold; i++) {
        search->chosen[i] = search->usable[search->places[i]];
        search->sites[i] = search->set->sites[search->chosen[i]];
    }
    lagrange(x, search->sites, search->set->threshold, search->room, search->coefs);
}

static enum choir_err find_choice(struct search *search, const struct shamir_share *shares,
                                  shamir_judge *is_right, void *context, struct scalar *secret)
{
    for (size_t i = 0; i < SHAMIR_TRIES_MAX; i++) {
        if (search->rng != NULL)
            choose_at_random(search);
        else if (i > 0 && !choose_next(search))
            break;
        coefficients_at(search, 0);
        weigh(secret, search->coefs, shares, search->chosen, search->set->threshold);
        if (is_right(secret->bytes, context))
            return CHOIR_OK;
    }
    return CHOIR_ERR_FORGED;
}

// Compares every share outside of the choice that was found right with the polynomial through it.
static void mark_bad(struct search *search, const struct shamir_share *shares, bool *bad)
{
    const struct shamir_set *set = search->set;
    struct scalar expected;

    for (size_t i = 0; i < set->n; i++)
        bad[i] = true;
    coefficients_at(search, 0);
    for (size_t i = 0; i < set->threshold; i++)
        bad[search->chosen[i]] = false;
    for (size_t i = 0; i < search->n_usable; i++) {
        size_t place = search->usable[i];

        if (!bad[place])
            continue;
        coefficients_at(search, x_of(set->sites[place]));
        weigh(&expected, search->coefs, shares, search->chosen, set->threshold);
        bad[place] = sodium_memcmp(expected.bytes, shares[place].bytes, SHAMIR_SCALAR_BYTES) != 0;
    }
    sodium_memzero(&expected, sizeof expected);
}

enum choir_err shamir_recover(const struct shamir_set *set, const struct shamir_share *shares,
                              shamir_judge *is_right, void *context,
                              uint8_t secret[static SHAMIR_SCALAR_BYTES], bool *bad)
{
    enum choir_err err = CHOIR_OK;
    struct search search = {0};
    struct scalar found;

    if (shamir_is_consistent(set, shares)) {
        weigh(&found, set->at_zero, shares, NULL, set->threshold);
        err = is_right(found.bytes, context) ? CHOIR_OK : CHOIR_ERR_FORGED;
        for (size_t i = 0; i < set->n && err == CHOIR_OK; i++)
            bad[i] = false;
    } else {
        err = search_init(&search, set, shares);
        if (err == CHOIR_OK)
            err = find_choice(&search, shares, is_right, context, &found);
        if (err == CHOIR_OK)
            mark_bad(&search, shares, bad);
    }
    if (err == CHOIR_OK)
        memcpy(secret, found.bytes, SHAMIR_SCALAR_BYTES);
    sodium_memzero(&found, sizeof found);
    search_free(&search);
    return err;
}
