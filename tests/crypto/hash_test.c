#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static void assert_hex(const uint8_t *bytes, const char *hex)
{
    char text[2 * HASH_BYTES + 1];

    hex_put(text, bytes, HASH_BYTES);
    assert_string_equal(text, hex);
}

// FIPS 180-4; NIST "Examples with Intermediate Values", SHA-256.
static void published_digests_come_out(void **state)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    uint8_t hash[HASH_BYTES];

    (void)state;
    hash_bytes(hash, "", 0);
    assert_hex(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_bytes(hash, "abc", 3);
    assert_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_bytes(hash, two_blocks, strlen(two_blocks));
    assert_hex(hash, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

// NIST, as above: a million times "a", here in pieces of 1000.
static void pieces_hash_like_the_whole(void **state)
{
    struct hash_stream *stream = NULL;
    uint8_t hash[HASH_BYTES], piece[1000];

    (void)state;
    memset(piece, 'a', sizeof piece);
    assert_int_equal(hash_new(&stream), CHOIR_OK);
    for (int i = 0; i < 1000; i++)
        hash_add(stream, piece, sizeof piece);
    hash_end(stream, hash);
    assert_hex(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    hash_add(stream, "abc", 3); // ready for another message
    hash_end(stream, hash);
    assert_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_free(stream);
    hash_free(NULL);
}

// RFC 4231, test cases 1, 2 and 6 (HMAC-SHA-256).
static void published_macs_come_out(void **state)
{
    static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    static const char question[] = "what do ya want for nothing?";
    uint8_t key[131], mac[HASH_BYTES];

    (void)state;
    memset(key, 0x0b, 20);
    hash_mac(mac, key, 20, "Hi There", 8);
    assert_hex(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hash_mac(mac, (const uint8_t *)"Jefe", 4, question, strlen(question));
    assert_hex(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    hash_mac(mac, key, sizeof key, long_key, strlen(long_key));
    assert_hex(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_come_out),
        cmocka_unit_test(pieces_hash_like_the_whole),
        cmocka_unit_test(published_macs_come_out),
    };

    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
