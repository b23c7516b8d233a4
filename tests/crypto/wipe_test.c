/* wipe_test - the functions that handle secrets of a round leave none of them on the stack: each
 * runs on a stack of our own, which is searched afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/agree.h"
#include "crypto/hkdf.h"
#include "crypto/mask.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"
#include "crypto/sharebox.h"

enum { BYTES = 32, STACK_BYTES = 1 << 20, N = 5, THRESHOLD = 3, SEGMENT = 7 };

static uint8_t secret_key[BYTES], public_key[BYTES], salt[BYTES], rho[BYTES], seed[BYTES];
static uint8_t made[BYTES], pair[SHAREBOX_PAIR_BYTES], opened[SHAREBOX_PAIR_BYTES];
static uint8_t box[SHAREBOX_BYTES], lanes[4096];
static struct shamir_share shares[N], fresh[N];
static struct shamir_set *set;
static struct mask *mask;

static int start(void **state)
{
    static const uint32_t sites[N] = {1, 2, 3, 4, 5};

    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    curve_keypair(public_key, secret_key); // with itself: a key of good order
    rng_bytes(salt, sizeof salt);
    rng_bytes(seed, sizeof seed);
    rng_bytes(pair, sizeof pair);
    shamir_random(rho);
    sharebox_seal(box, pair, seed, salt, 1, 2);
    if (shamir_split(rho, THRESHOLD, sites, N, shares) != CHOIR_OK ||
        shamir_set_new(sites, N, THRESHOLD, &set) != CHOIR_OK)
        return -1;
    return mask_open(MASK_CHACHA20, &mask) == CHOIR_OK ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    shamir_set_free(set);
    mask_close(mask);
    return 0;
}

// Runs `work` on a stack of zeros and says whether it left 16 bytes in a row of secret[0..len).
static bool leaves(void (*work)(void), const uint8_t *secret, size_t len)
{
    uint8_t *stack = aligned_alloc(4096, STACK_BYTES);
    ucontext_t here, there;
    bool found = false;

    assert_non_null(stack);
    memset(stack, 0, STACK_BYTES);
    assert_int_equal(getcontext(&there), 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = STACK_BYTES;
    there.uc_link = &here;
    makecontext(&there, work, 0);
    assert_int_equal(swapcontext(&here, &there), 0);
    for (size_t at = 0; at + 16 <= len; at += 16)
        found = found || memmem(stack, STACK_BYTES, secret + at, 16) != NULL;
    free(stack);
    return found;
}

static void leak(void)
{
    volatile uint8_t copy[64 * BYTES]; // so many that the way back overwrites not all of them

    for (size_t i = 0; i < sizeof copy; i++)
        copy[i] = seed[i % BYTES];
    if (copy[0] != seed[0])
        abort();
}

static void a_secret_that_stays_would_be_found(void **state)
{
    (void)state;
    assert_true(leaves(leak, seed, BYTES));
}

static void derive_pair_seed(void)
{
    if (agree_pair_seed(made, secret_key, public_key, salt, 1, 2) != CHOIR_OK)
        abort();
}

static void no_shared_secret_stays(void **state)
{
    uint8_t shared[BYTES], prk[BYTES];

    (void)state;
    assert_int_equal(agree_shared(shared, secret_key, public_key), CHOIR_OK);
    hkdf_extract(HKDF_SHA256, prk, salt, BYTES, shared, BYTES);
    assert_false(leaves(derive_pair_seed, shared, BYTES));
    assert_false(leaves(derive_pair_seed, prk, BYTES));
    assert_false(leaves(derive_pair_seed, made, BYTES));
}

static void derive_mask_key(void)
{
    uint8_t mask_key[BYTES];

    agree_mask_key(mask_key, made, rho, salt);
    agree_commitment(mask_key, salt, 1, rho);
}

static void no_mask_key_stays(void **state)
{
    (void)state;
    assert_false(leaves(derive_mask_key, rho, BYTES));
    assert_false(leaves(derive_mask_key, made, BYTES));
}

static void mask_lanes(void)
{
    mask_begin(mask, seed, SEGMENT);
    mask_apply(mask, MASK_ADD, 32, 0, lanes, sizeof lanes);
}

static void no_keystream_and_no_key_of_it_stays(void **state)
{
    uint8_t info[9] = {'p', 'r', 'g'}, key[BYTES], stream[sizeof lanes];

    (void)state;
    (void)put_u32(put_u16(info + 3, MASK_CHACHA20), SEGMENT);
    hkdf_expand(HKDF_SHA256, key, sizeof key, seed, info, sizeof info);
    mask_begin(mask, seed, SEGMENT);
    mask_stream(mask, 0, stream, sizeof stream);
    assert_false(leaves(mask_lanes, key, BYTES));
    assert_false(leaves(mask_lanes, seed, BYTES));
    assert_false(leaves(mask_lanes, stream, sizeof stream));
}

static void split(void)
{
    static const uint32_t sites[N] = {1, 2, 3, 4, 5};

    if (shamir_split(rho, THRESHOLD, sites, N, fresh) != CHOIR_OK)
        abort();
}

static void combine(void)
{
    if (shamir_combine(set, shares, made) != CHOIR_OK)
        abort();
}

static void compare(void)
{
    if (!shamir_is_consistent(set, shares))
        abort();
}

static bool is_rho(const uint8_t secret[static SHAMIR_SCALAR_BYTES], void *context)
{
    (void)context;
    return memcmp(secret, rho, BYTES) == 0;
}

static void recover(void)
{
    bool bad[N];

    shares[1].bytes[0] ^= 1;
    if (shamir_recover(set, shares, is_rho, NULL, made, bad) != CHOIR_OK)
        abort();
    shares[1].bytes[0] ^= 1;
}

static void no_shared_out_secret_and_no_share_stays(void **state)
{
    static void (*const works[])(void) = {split, combine, compare, recover};

    (void)state;
    for (size_t k = 0; k < sizeof works / sizeof *works; k++) {
        assert_false(leaves(works[k], rho, BYTES));
        for (size_t i = 0; i < N; i++)
            assert_false(leaves(works[k], shares[i].bytes, BYTES));
    }
    assert_false(leaves(split, fresh[N - 1].bytes, BYTES));
    assert_memory_equal(made, rho, BYTES);
}

static void open_box(void)
{
    if (sharebox_open(opened, box, seed, salt, 1, 2) != CHOIR_OK)
        abort();
}

static void no_opened_share_stays(void **state)
{
    (void)state;
    assert_false(leaves(open_box, pair, sizeof pair));
    assert_false(leaves(open_box, seed, BYTES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_that_stays_would_be_found),
        cmocka_unit_test(no_shared_secret_stays),
        cmocka_unit_test(no_mask_key_stays),
        cmocka_unit_test(no_keystream_and_no_key_of_it_stays),
        cmocka_unit_test(no_shared_out_secret_and_no_share_stays),
        cmocka_unit_test(no_opened_share_stays),
    };

    return cmocka_run_group_tests_name("wipe", tests, start, finish);
}
