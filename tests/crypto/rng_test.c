#include "crypto/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hash.h"

enum { BLOCK = 4096, DRAWS = 100000 };

static struct rng *open_seeded(const char *purpose, uint8_t first)
{
    uint8_t seed[RNG_SEED_BYTES] = {first};
    struct rng *rng = NULL;

    assert_int_equal(rng_open_seeded(purpose, seed, &rng), CHOIR_OK);
    return rng;
}

static int start(void **state)
{
    (void)state;
    return rng_start() == CHOIR_OK ? 0 : -1;
}

static void the_same_seed_gives_the_same_stream(void **state)
{
    struct rng *a = open_seeded("noise", 1), *b = open_seeded("noise", 1);
    uint8_t whole[3 * BLOCK], pieces[3 * BLOCK];

    (void)state;
    rng_fill(a, whole, sizeof whole);
    for (size_t at = 0, piece = 1; at < sizeof pieces; at += piece, piece = piece * 3 % 1000 + 1) {
        if (piece > sizeof pieces - at)
            piece = sizeof pieces - at;
        rng_fill(b, pieces + at, piece);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
    rng_close(a);
    rng_close(b);
}

// Computed from RFC 8439 by another program: the key is HMAC-SHA256(seed, purpose); a block is
// 4096 bytes of ChaCha20 with a nonce of zeros, and its first 32 bytes are the next key.
static void the_stream_is_the_one_that_the_construction_gives(void **state)
{
    const uint8_t want[HASH_BYTES] = {0xbc, 0x1c, 0xff, 0xb3, 0x52, 0x1c, 0x39, 0x8a,
                                      0x62, 0xfd, 0xcd, 0x22, 0xb2, 0xe2, 0xb4, 0x12,
                                      0xf0, 0x25, 0x24, 0x83, 0x47, 0xd7, 0x1d, 0x45,
                                      0xa1, 0x63, 0x40, 0x9d, 0x2f, 0x40, 0x97, 0x2c};
    const size_t pieces[] = {1, 31, 32, 33, 4000, 4064, 4065, 8192, 9000, 20000};
    struct rng *rng = open_seeded("noise", 5);
    uint8_t stream[49418], hash[HASH_BYTES];
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < 10; at += pieces[i++])
        rng_fill(rng, stream + at, pieces[i]);
    assert_int_equal(at, sizeof stream);
    hash_bytes(hash, stream, sizeof stream);
    assert_memory_equal(hash, want, sizeof hash);
    rng_close(rng);
}

static void seed_and_purpose_both_matter(void **state)
{
    struct rng *rngs[3] = {open_seeded("noise", 1), open_seeded("noise", 2),
                           open_seeded("sampler", 1)};
    uint64_t drawn[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        drawn[i] = rng_u64(rngs[i]);
        rng_close(rngs[i]);
    }
    assert_true(drawn[0] != drawn[1] && drawn[0] != drawn[2] && drawn[1] != drawn[2]);
}

static void unseeded_streams_differ(void **state)
{
    struct rng *a = NULL, *b = NULL;

    (void)state;
    assert_int_equal(rng_open("noise", &a), CHOIR_OK);
    assert_int_equal(rng_open("noise", &b), CHOIR_OK);
    assert_true(rng_u64(a) != rng_u64(b));
    rng_close(a);
    rng_close(b);
    rng_close(NULL);
}

// Fixed seed. The mean of DRAWS uniform draws has standard deviation 0.2887 / sqrt(DRAWS) =
// 0.00091; the bound is 5 of them.
static void units_are_uniform(void **state)
{
    struct rng *rng = open_seeded("noise", 3);
    double sum = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        double unit = rng_unit(rng);

        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    assert_true(sum / DRAWS > 0.5 - 0.0046 && sum / DRAWS < 0.5 + 0.0046);
    rng_close(rng);
}

// Fixed seed. Chi-squared with 6 degrees of freedom exceeds 27.9 with probability 1e-4.
static void small_bounds_are_met_evenly(void **state)
{
    struct rng *rng = open_seeded("noise", 4);
    size_t n[7] = {0};
    double chi_squared = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++)
        n[rng_below(rng, 7)]++;
    for (size_t i = 0; i < 7; i++) {
        double expected = DRAWS / 7.0, off = (double)n[i] - expected;

        chi_squared += off * off / expected;
    }
    assert_true(chi_squared < 27.9);
    assert_int_equal(rng_below(rng, 1), 0);
    rng_close(rng);
}

static void a_wiped_secret_is_gone(void **state)
{
    uint8_t secret[16], zeros[16] = {0};

    (void)state;
    rng_bytes(secret, sizeof secret);
    assert_memory_not_equal(secret, zeros, sizeof zeros);
    rng_wipe(secret, sizeof secret);
    assert_memory_equal(secret, zeros, sizeof zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_stream),
        cmocka_unit_test(the_stream_is_the_one_that_the_construction_gives),
        cmocka_unit_test(seed_and_purpose_both_matter),
        cmocka_unit_test(unseeded_streams_differ),
        cmocka_unit_test(units_are_uniform),
        cmocka_unit_test(small_bounds_are_met_evenly),
        cmocka_unit_test(a_wiped_secret_is_gone),
    };

    return cmocka_run_group_tests_name("rng", tests, start, NULL);
}
