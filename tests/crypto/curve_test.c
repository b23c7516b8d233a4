#include "crypto/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hex.h"
#include "crypto/rng.h"

// RFC 7748, section 6.1: Alice and Bob.
static void published_public_keys_come_out(void **state)
{
    static const char *const keys[][2] = {
        {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
        {"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint8_t secret_key[CURVE_KEY_BYTES], expected[CURVE_KEY_BYTES], made[CURVE_KEY_BYTES];

        assert_int_equal(hex_get(expected, sizeof expected, keys[i][1]), CHOIR_OK);
        if (hex_get(secret_key, sizeof secret_key, keys[i][0]) != CHOIR_OK)
            fail();
        curve_public(made, secret_key);
        assert_memory_equal(made, expected, sizeof made);
    }
}

static void a_pair_belongs_together_and_is_fresh(void **state)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES], again[CURVE_KEY_BYTES];
    uint8_t other_public[CURVE_KEY_BYTES], other_secret[CURVE_KEY_BYTES];

    (void)state;
    assert_int_equal(rng_start(), CHOIR_OK);
    curve_keypair(public_key, secret_key);
    curve_public(again, secret_key);
    assert_memory_equal(public_key, again, sizeof again);
    curve_keypair(other_public, other_secret);
    assert_memory_not_equal(secret_key, other_secret, sizeof secret_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_public_keys_come_out),
        cmocka_unit_test(a_pair_belongs_together_and_is_fresh),
    };

    return cmocka_run_group_tests_name("curve", tests, NULL, NULL);
}
