#include "crypto/agree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/rng.h"

enum { BYTES = AGREE_SECRET_BYTES, N_LOW_ORDER = 12 };

struct site {
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];
};

static struct site sites[2];
static uint8_t salt[HASH_BYTES], other_salt[HASH_BYTES];

static int start(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    for (size_t i = 0; i < 2; i++)
        curve_keypair(sites[i].public_key, sites[i].secret_key);
    rng_bytes(salt, sizeof salt);
    rng_bytes(other_salt, sizeof other_salt);
    return 0;
}

static void put_hex(uint8_t to[static BYTES], const char *text)
{
    assert_int_equal(hex_get(to, BYTES, text), CHOIR_OK);
}

// RFC 7748, section 5.2, both vectors, and section 6.1.
static void published_shared_secrets_come_out(void **state)
{
    static const char *const cases[][3] = {
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
        {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
         "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t secret_key[BYTES], public_key[BYTES], expected[BYTES], made[BYTES];

        put_hex(secret_key, cases[i][0]);
        put_hex(public_key, cases[i][1]);
        put_hex(expected, cases[i][2]);
        assert_int_equal(agree_shared(made, secret_key, public_key), CHOIR_OK);
        assert_memory_equal(made, expected, BYTES);
    }
}

// RFC 7748, section 5.2: each output is the next key, the key before it the next point.
static void a_thousand_agreements_end_where_published(void **state)
{
    uint8_t key[BYTES] = {9}, point[BYTES] = {9}, made[BYTES], expected[BYTES];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(agree_shared(made, key, point), CHOIR_OK);
        memcpy(point, key, BYTES);
        memcpy(key, made, BYTES);
    }
    put_hex(expected, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
    assert_memory_equal(key, expected, BYTES);
}

// The points of order 1, 2, 4 and 8, in all their encodings below 2^255 and two above.
static void keys_of_low_order_are_refused_everywhere(void **state)
{
    static const char *const low[N_LOW_ORDER] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };

    (void)state;
    for (size_t i = 0; i < N_LOW_ORDER; i++) {
        uint8_t point[BYTES], made[BYTES] = {7}, untouched[BYTES] = {7};
        const uint8_t *secret_key = sites[0].secret_key;

        put_hex(point, low[i]);
        assert_true(agree_is_weak(point));
        point[8] ^= 4;
        assert_false(agree_is_weak(point));
        point[8] ^= 4;
        assert_int_equal(agree_shared(made, secret_key, point), CHOIR_ERR_FORMAT);
        assert_int_equal(agree_pair_seed(made, secret_key, point, salt, 1, 2), CHOIR_ERR_FORMAT);
        assert_int_equal(agree_share_key(made, secret_key, point, salt, 1, 2), CHOIR_ERR_FORMAT);
        assert_memory_equal(made, untouched, BYTES);
    }
}

static void pair_seed_of(uint8_t seed[static BYTES], size_t self, const uint8_t *r2, uint32_t i,
                         uint32_t j)
{
    assert_int_equal(
        agree_pair_seed(seed, sites[self].secret_key, sites[1 - self].public_key, r2, i, j),
        CHOIR_OK);
}

static void both_ends_have_the_same_pair_seed_in_either_order(void **state)
{
    uint8_t seeds[4][BYTES];

    (void)state;
    pair_seed_of(seeds[0], 0, salt, 3, 70000);
    pair_seed_of(seeds[1], 1, salt, 3, 70000);
    pair_seed_of(seeds[2], 0, salt, 70000, 3);
    pair_seed_of(seeds[3], 1, salt, 70000, 3);
    for (size_t i = 1; i < 4; i++)
        assert_memory_equal(seeds[0], seeds[i], BYTES);
}

static void another_transcript_or_pair_has_another_seed(void **state)
{
    uint8_t seed[BYTES], other[BYTES];

    (void)state;
    pair_seed_of(seed, 0, salt, 3, 4);
    pair_seed_of(other, 0, other_salt, 3, 4);
    assert_memory_not_equal(seed, other, BYTES);
    pair_seed_of(other, 0, salt, 3, 5);
    assert_memory_not_equal(seed, other, BYTES);
}

static void share_key_of(uint8_t key[static BYTES], size_t self, uint32_t from, uint32_t to)
{
    assert_int_equal(
        agree_share_key(key, sites[self].secret_key, sites[1 - self].public_key, salt, from, to),
        CHOIR_OK);
}

static void share_keys_have_a_direction(void **state)
{
    uint8_t here[BYTES], there[BYTES], back[BYTES];

    (void)state;
    share_key_of(here, 0, 1, 2);
    share_key_of(there, 1, 1, 2);
    share_key_of(back, 1, 2, 1);
    assert_memory_equal(here, there, BYTES);
    assert_memory_not_equal(here, back, BYTES);
}

static void the_mask_key_comes_back_from_its_secret(void **state)
{
    uint8_t rho[BYTES], public_key[BYTES], secret_key[BYTES], again[BYTES], other[BYTES];

    (void)state;
    rng_bytes(rho, sizeof rho);
    agree_mask_key(public_key, secret_key, rho, salt);
    curve_public(again, secret_key);
    assert_memory_equal(public_key, again, BYTES);
    agree_mask_key(again, other, rho, other_salt);
    assert_memory_not_equal(secret_key, other, BYTES);
}

static void a_commitment_holds_for_one_secret_site_and_round(void **state)
{
    uint8_t b[BYTES], commitment[HASH_BYTES];

    (void)state;
    rng_bytes(b, sizeof b);
    agree_commitment(commitment, salt, 5, b);
    assert_int_equal(agree_check_commitment(commitment, salt, 5, b), CHOIR_OK);
    assert_int_equal(agree_check_commitment(commitment, salt, 6, b), CHOIR_ERR_FORGED);
    assert_int_equal(agree_check_commitment(commitment, other_salt, 5, b), CHOIR_ERR_FORGED);
    b[31] ^= 1;
    assert_int_equal(agree_check_commitment(commitment, salt, 5, b), CHOIR_ERR_FORGED);
}

static void the_self_seed_belongs_to_one_site_and_transcript(void **state)
{
    uint8_t b[BYTES], seed[BYTES], other[BYTES];

    (void)state;
    rng_bytes(b, sizeof b);
    agree_self_seed(seed, b, salt, 5);
    agree_self_seed(other, b, salt, 6);
    assert_memory_not_equal(seed, other, BYTES);
    agree_self_seed(other, b, other_salt, 5);
    assert_memory_not_equal(seed, other, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_shared_secrets_come_out),
        cmocka_unit_test(a_thousand_agreements_end_where_published),
        cmocka_unit_test(keys_of_low_order_are_refused_everywhere),
        cmocka_unit_test(both_ends_have_the_same_pair_seed_in_either_order),
        cmocka_unit_test(another_transcript_or_pair_has_another_seed),
        cmocka_unit_test(share_keys_have_a_direction),
        cmocka_unit_test(the_mask_key_comes_back_from_its_secret),
        cmocka_unit_test(a_commitment_holds_for_one_secret_site_and_round),
        cmocka_unit_test(the_self_seed_belongs_to_one_site_and_transcript),
    };

    return cmocka_run_group_tests_name("agree", tests, start, NULL);
}
