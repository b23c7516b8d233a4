#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/rng.h"

struct vector {
    const char *seed, *public_key, *message, *signature;
};

// RFC 8032, section 7.1, tests 1 to 3.
static const struct vector vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
};

static void published_signatures_come_out(void **state)
{
    (void)state;
    assert_int_equal(rng_start(), CHOIR_OK);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t seed[SIGN_SEED_BYTES], expected_key[SIGN_PUBLIC_BYTES], expected[SIGN_BYTES];
        uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES], signature[SIGN_BYTES];
        uint8_t message[2];
        size_t len = strlen(vectors[i].message) / 2;

        assert_int_equal(hex_get(seed, sizeof seed, vectors[i].seed), CHOIR_OK);
        assert_int_equal(hex_get(expected_key, sizeof expected_key, vectors[i].public_key),
                         CHOIR_OK);
        assert_int_equal(hex_get(message, len, vectors[i].message), CHOIR_OK);
        assert_int_equal(hex_get(expected, sizeof expected, vectors[i].signature), CHOIR_OK);
        sign_keypair_from_seed(public_key, secret_key, seed);
        assert_memory_equal(public_key, expected_key, sizeof public_key);
        sign_make(signature, message, len, secret_key);
        assert_memory_equal(signature, expected, sizeof signature);
        assert_int_equal(sign_check(expected, message, len, public_key), CHOIR_OK);
    }
}

static void every_changed_bit_is_found(void **state)
{
    uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES], signature[SIGN_BYTES];
    uint8_t message[] = "one voice";

    (void)state;
    sign_keypair(public_key, secret_key);
    sign_make(signature, message, sizeof message, secret_key);
    for (size_t i = 0; i < 8 * sizeof signature; i++) {
        signature[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(sign_check(signature, message, sizeof message, public_key),
                         CHOIR_ERR_FORGED);
        signature[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < 8 * sizeof message; i++) {
        message[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(sign_check(signature, message, sizeof message, public_key),
                         CHOIR_ERR_FORGED);
        message[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(sign_check(signature, message, sizeof message, public_key), CHOIR_OK);
}

// The neutral point as a key would make the signature (R, 0) good for any message.
static void a_key_of_small_order_signs_nothing(void **state)
{
    uint8_t public_key[SIGN_PUBLIC_BYTES] = {1}, signature[SIGN_BYTES] = {1};

    (void)state;
    assert_int_equal(sign_check(signature, (const uint8_t *)"x", 1, public_key), CHOIR_ERR_FORGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_signatures_come_out),
        cmocka_unit_test(every_changed_bit_is_found),
        cmocka_unit_test(a_key_of_small_order_signs_nothing),
    };

    return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
