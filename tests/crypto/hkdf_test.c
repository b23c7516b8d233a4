#include "crypto/hkdf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static void put_hex(uint8_t *to, size_t len, const char *text)
{
    assert_int_equal(hex_get(to, len, text), CHOIR_OK);
}

static void count_up(uint8_t *to, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(first + i);
}

static void assert_hkdf(const uint8_t *salt, size_t salt_len, const uint8_t *secret,
                        size_t secret_len, const uint8_t *info, size_t info_len,
                        const char *expected_prk, const char *expected_out)
{
    uint8_t prk[HKDF_PRK_BYTES], out[100], expected[100];
    size_t len = strlen(expected_out) / 2;

    put_hex(expected, HKDF_PRK_BYTES, expected_prk);
    hkdf_extract(HKDF_SHA256, prk, salt, salt_len, secret, secret_len);
    assert_memory_equal(prk, expected, HKDF_PRK_BYTES);
    put_hex(expected, len, expected_out);
    hkdf_expand(HKDF_SHA256, out, len, prk, info, info_len);
    assert_memory_equal(out, expected, len);
    memset(out, 0, len);
    hkdf_derive(out, len, secret, secret_len, salt, salt_len, info, info_len);
    assert_memory_equal(out, expected, len);
}

// RFC 5869, appendix A, cases 1 to 3: short, long, and with empty salt and info.
static void published_keys_come_out(void **state)
{
    uint8_t salt[80], secret[80], info[80];

    (void)state;
    count_up(salt, 13, 0);
    memset(secret, 0x0b, 22);
    count_up(info, 10, 0xf0);
    assert_hkdf(
        salt, 13, secret, 22, info, 10,
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    count_up(salt, 80, 0x60);
    count_up(secret, 80, 0x00);
    count_up(info, 80, 0xb0);
    assert_hkdf(
        salt, 80, secret, 80, info, 80,
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
        "41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    memset(secret, 0x0b, 22);
    assert_hkdf(
        salt, 0, secret, 22, info, 0,
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

// GM/T 0042-2015, appendix D: HMAC-SM3, which is what extracting computes.
static void sm3_gives_its_published_mac(void **state)
{
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
                               "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    uint8_t key[32], mac[HKDF_PRK_BYTES], expected[HKDF_PRK_BYTES];

    (void)state;
    if (!hkdf_offers(HKDF_SM3))
        skip();
    count_up(key, sizeof key, 1);
    put_hex(expected, sizeof expected,
            "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a");
    hkdf_extract(HKDF_SM3, mac, key, sizeof key, text, sizeof text - 1);
    assert_memory_equal(mac, expected, sizeof mac);
}

static void every_input_matters(void **state)
{
    static const char text[] = "abc";
    uint8_t keys[5][32];

    (void)state;
    hkdf_derive(keys[0], 32, text, 3, text, 3, text, 3);
    hkdf_derive(keys[1], 32, text, 2, text, 3, text, 3);
    hkdf_derive(keys[2], 32, text, 3, text, 2, text, 3);
    hkdf_derive(keys[3], 32, text, 3, text, 3, text, 2);
    hkdf_derive(keys[4], 32, text, 3, text, 3, text, 0);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_keys_come_out),
        cmocka_unit_test(sm3_gives_its_published_mac),
        cmocka_unit_test(every_input_matters),
    };

    return cmocka_run_group_tests_name("hkdf", tests, NULL, NULL);
}
