#include "crypto/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "crypto/hkdf.h"
#include "crypto/rng.h"

enum { BLOCK = 16, N_MAX = 10, LANES_BYTES = 40008, ROOM = 70000, N_SUITES = 3 };

static const uint16_t suites[N_SUITES] = {MASK_AES256, MASK_CHACHA20, MASK_SM4};
static const uint8_t seed[MASK_SEED_BYTES] = {1, 2, 3};
static uint8_t whole[ROOM], pieces[ROOM], start_values[ROOM];

static int start(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    rng_bytes(start_values, sizeof start_values);
    return 0;
}

// NULL if the crypto library lacks the suite; SM4 alone may be lacking.
static struct mask *open_suite(uint16_t suite)
{
    struct mask *mask = NULL;
    enum choir_err err = mask_open(suite, &mask);

    assert_true(err == CHOIR_OK || (err == CHOIR_ERR_REFUSED && suite == MASK_SM4));
    return mask;
}

// One block by the bare block cipher.
static void encrypt_block(const char *cipher, const uint8_t *key, const uint8_t *in, uint8_t *out)
{
    EVP_CIPHER *ecb = EVP_CIPHER_fetch(NULL, cipher, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int written = 0;

    assert_int_equal(EVP_EncryptInit_ex2(context, ecb, key, NULL, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(context, out, &written, in, BLOCK), 1);
    assert_int_equal(written, BLOCK);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(ecb);
}

static void assert_block(const char *cipher, const char *key, const char *in, const char *out)
{
    uint8_t key_bytes[32], in_bytes[BLOCK], out_bytes[BLOCK], made[BLOCK];

    assert_int_equal(hex_get(key_bytes, strlen(key) / 2, key), CHOIR_OK);
    assert_int_equal(hex_get(in_bytes, BLOCK, in), CHOIR_OK);
    assert_int_equal(hex_get(out_bytes, BLOCK, out), CHOIR_OK);
    encrypt_block(cipher, key_bytes, in_bytes, made);
    assert_memory_equal(made, out_bytes, BLOCK);
}

static void key_of(enum hkdf_hash hash, uint16_t suite, uint32_t segment, uint8_t *key, size_t len)
{
    uint8_t info[9] = {'p', 'r', 'g'};

    (void)put_u32(put_u16(info + 3, suite), segment);
    hkdf_expand(hash, key, len, seed, info, sizeof info);
}

// Counter mode put together by hand: block k of the stream is the cipher of k, big-endian.
static void assert_counter_mode(struct mask *mask, const char *cipher, const uint8_t *key,
                                uint64_t first_block)
{
    uint8_t stream[8 * BLOCK], expected[8 * BLOCK];

    for (uint64_t k = 0; k < 8; k++) {
        uint8_t counter[BLOCK] = {0};

        for (size_t i = 0; i < 8; i++)
            counter[15 - i] = (uint8_t)((first_block + k) >> (8 * i));
        encrypt_block(cipher, key, counter, expected + k * BLOCK);
    }
    mask_stream(mask, first_block * BLOCK, stream, sizeof stream);
    assert_memory_equal(stream, expected, sizeof stream);
}

// NIST SP 800-38A, F.5.5 CTR-AES256.Encrypt: the output blocks of the first two counters.
static void suite_1_is_aes_256_in_counter_mode(void **state)
{
    static const char key_text[] =
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    struct mask *mask = open_suite(MASK_AES256);
    uint8_t key[32];

    (void)state;
    assert_block("AES-256-ECB", key_text, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
                 "0bdf7df1591716335e9a8b15c860c502");
    assert_block("AES-256-ECB", key_text, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff00",
                 "5a6e699d536119065433863c8f657b94");
    mask_begin(mask, seed, 70000);
    key_of(HKDF_SHA256, MASK_AES256, 70000, key, sizeof key);
    assert_counter_mode(mask, "AES-256-ECB", key, 0);
    assert_counter_mode(mask, "AES-256-ECB", key, 252); // a carry between two bytes
    assert_counter_mode(mask, "AES-256-ECB", key, MASK_SEGMENT_MAX / BLOCK - 8);
    mask_close(mask);
}

// RFC 8439, appendix A.1, vector 1, by libsodium, which then checks the rest.
static void suite_2_is_chacha20(void **state)
{
    static const uint8_t nonce[12], zero_key[32];
    static const uint64_t at[] = {0, 252, MASK_SEGMENT_MAX / 64 - 2};
    struct mask *mask = open_suite(MASK_CHACHA20);
    uint8_t key[32], stream[128], expected[128];

    (void)state;
    assert_int_equal(hex_get(expected, 64,
                             "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                             "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
                     CHOIR_OK);
    crypto_stream_chacha20_ietf(stream, 64, nonce, zero_key);
    assert_memory_equal(stream, expected, 64);
    mask_begin(mask, seed, 3);
    key_of(HKDF_SHA256, MASK_CHACHA20, 3, key, sizeof key);
    for (size_t i = 0; i < 3; i++) {
        memset(expected, 0, sizeof expected);
        crypto_stream_chacha20_ietf_xor_ic(expected, expected, sizeof expected, nonce,
                                           (uint32_t)at[i], key);
        mask_stream(mask, 64 * at[i], stream, sizeof stream);
        assert_memory_equal(stream, expected, sizeof stream);
    }
    mask_close(mask);
}

// GB/T 32907-2016, appendix A, example 1.
static void suite_3_is_sm4_in_counter_mode_with_keys_by_sm3(void **state)
{
    struct mask *mask = open_suite(MASK_SM4);
    uint8_t key[16];

    (void)state;
    if (mask == NULL)
        skip();
    assert_block("SM4-ECB", "0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210",
                 "681edf34d206965e86b3e94f536e4246");
    mask_begin(mask, seed, 0);
    key_of(HKDF_SM3, MASK_SM4, 0, key, sizeof key);
    assert_counter_mode(mask, "SM4-ECB", key, 0);
    assert_counter_mode(mask, "SM4-ECB", key, 65532);
    mask_close(mask);
}

static void unknown_suites_are_refused(void **state)
{
    struct mask *mask = NULL;

    (void)state;
    assert_int_equal(mask_open(0, &mask), CHOIR_ERR_REFUSED);
    assert_int_equal(mask_open(4, &mask), CHOIR_ERR_REFUSED);
    assert_int_equal(mask_open(UINT16_MAX, &mask), CHOIR_ERR_REFUSED);
    assert_null(mask);
    mask_close(NULL);
}

// Pieces of growing length, in the middle of blocks, the last one first.
static void apply_in_pieces(struct mask *mask, unsigned lane_bits, uint8_t *lanes, size_t len)
{
    size_t offset = len, piece = lane_bits / 8;

    while (offset > 0) {
        size_t piece_len = piece < offset ? piece : offset;

        offset -= piece_len;
        mask_apply(mask, MASK_ADD, lane_bits, offset, lanes + offset, piece_len);
        piece = (piece * 3) % 20000 / 4 * 4 + lane_bits / 8;
    }
}

static void the_whole_equals_its_pieces(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_SUITES; k++)
        for (unsigned lane_bits = 16; lane_bits <= 32; lane_bits += 16) {
            struct mask *mask = open_suite(suites[k]);

            if (mask == NULL)
                continue;
            mask_begin(mask, seed, 1);
            memcpy(whole, start_values, ROOM);
            memcpy(pieces, start_values, ROOM);
            mask_apply(mask, MASK_ADD, lane_bits, 0, whole, ROOM);
            apply_in_pieces(mask, lane_bits, pieces, ROOM);
            assert_memory_equal(whole, pieces, ROOM);
            mask_close(mask);
        }
}

static uint32_t lane_at(unsigned lane_bits, const uint8_t *at)
{
    return lane_bits == 16 ? get_u16(at) : get_u32(at);
}

// By the definition: lane by lane, at an address that no register likes.
static void assert_lanes(struct mask *mask, enum mask_sign sign, unsigned lane_bits)
{
    uint8_t *lanes = whole + 1, *stream = pieces;

    memcpy(lanes, start_values, LANES_BYTES);
    mask_stream(mask, 36, stream, LANES_BYTES);
    mask_apply(mask, sign, lane_bits, 36, lanes, LANES_BYTES);
    for (size_t at = 0; at < LANES_BYTES; at += lane_bits / 8) {
        uint32_t was = lane_at(lane_bits, start_values + at);
        uint32_t step = lane_at(lane_bits, stream + at);
        uint32_t expected = sign == MASK_ADD ? was + step : was - step;

        assert_int_equal(lane_at(lane_bits, lanes + at),
                         lane_bits == 16 ? (uint16_t)expected : expected);
    }
}

static void lanes_add_and_subtract_without_a_carry_between_them(void **state)
{
    struct mask *mask = open_suite(MASK_AES256);

    (void)state;
    mask_begin(mask, seed, 1);
    assert_lanes(mask, MASK_ADD, 16);
    assert_lanes(mask, MASK_SUBTRACT, 16);
    assert_lanes(mask, MASK_ADD, 32);
    assert_lanes(mask, MASK_SUBTRACT, 32);
    mask_close(mask);
}

static void nothing_beside_the_lanes_is_touched(void **state)
{
    struct mask *mask = open_suite(MASK_CHACHA20);

    (void)state;
    mask_begin(mask, seed, 1);
    memcpy(whole, start_values, ROOM);
    mask_apply(mask, MASK_ADD, 16, 2, whole + 500, 20002);
    mask_apply(mask, MASK_ADD, 32, 4, whole + 4, 0);
    assert_memory_equal(whole, start_values, 500);
    assert_memory_equal(whole + 20502, start_values + 20502, ROOM - 20502);
    assert_memory_not_equal(whole + 500, start_values + 500, 16);
    mask_close(mask);
}

static void what_is_added_can_be_taken_away(void **state)
{
    struct mask *mask = open_suite(MASK_AES256);

    (void)state;
    mask_begin(mask, seed, 9);
    memcpy(whole, start_values, ROOM);
    mask_apply(mask, MASK_ADD, 32, 0, whole, ROOM);
    assert_memory_not_equal(whole, start_values, 64);
    mask_apply(mask, MASK_SUBTRACT, 32, 0, whole, ROOM);
    assert_memory_equal(whole, start_values, ROOM);
    mask_close(mask);
}

static void seed_segment_and_suite_all_matter(void **state)
{
    static const uint8_t other_seed[MASK_SEED_BYTES] = {1, 2, 4};
    struct mask *aes = open_suite(MASK_AES256), *chacha = open_suite(MASK_CHACHA20);
    uint8_t streams[4][32];

    (void)state;
    mask_begin(aes, seed, 1);
    mask_stream(aes, 0, streams[0], 32);
    mask_begin(aes, other_seed, 1);
    mask_stream(aes, 0, streams[1], 32);
    mask_begin(aes, seed, 2);
    mask_stream(aes, 0, streams[2], 32);
    mask_begin(chacha, seed, 1);
    mask_stream(chacha, 0, streams[3], 32);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(streams[i], streams[j], 32);
    mask_close(aes);
    mask_close(chacha);
}

// The rest: what n sites mask, without keys: the seed of a pair is made of its two numbers.
static void pair_seed(uint8_t to[static MASK_SEED_BYTES], size_t i, size_t j)
{
    memset(to, 0, MASK_SEED_BYTES);
    to[0] = (uint8_t)(i < j ? i : j);
    to[1] = (uint8_t)(i < j ? j : i);
}

static void self_seed(uint8_t to[static MASK_SEED_BYTES], size_t i)
{
    memset(to, 0xff, MASK_SEED_BYTES);
    to[0] = (uint8_t)i;
}

static void apply_seed(struct mask *mask, const uint8_t *of, enum mask_sign sign,
                       unsigned lane_bits, uint8_t *lanes)
{
    mask_begin(mask, of, 0);
    mask_apply(mask, sign, lane_bits, 0, lanes, LANES_BYTES);
}

// Site i of n: adds its own mask and those of the pairs it comes first in, subtracts the others.
static void mask_site(struct mask *mask, size_t i, size_t n, unsigned lane_bits, uint8_t *lanes)
{
    uint8_t of[MASK_SEED_BYTES];

    self_seed(of, i);
    apply_seed(mask, of, MASK_ADD, lane_bits, lanes);
    for (size_t j = 0; j < n; j++)
        if (j != i) {
            pair_seed(of, i, j);
            apply_seed(mask, of, i < j ? MASK_ADD : MASK_SUBTRACT, lane_bits, lanes);
        }
}

static void add_lanes(unsigned lane_bits, uint8_t *sum, const uint8_t *lanes)
{
    for (size_t at = 0; at < LANES_BYTES; at += lane_bits / 8)
        if (lane_bits == 16)
            (void)put_u16(sum + at, (uint16_t)(get_u16(sum + at) + get_u16(lanes + at)));
        else
            (void)put_u32(sum + at, get_u32(sum + at) + get_u32(lanes + at));
}

// Takes away the self masks of the survivors, and what they share with who was lost.
static void unmask(struct mask *mask, size_t n, unsigned survivors, unsigned lane_bits,
                   uint8_t *sum)
{
    uint8_t of[MASK_SEED_BYTES];

    for (size_t i = 0; i < n; i++) {
        if ((survivors >> i & 1U) == 0)
            continue;
        self_seed(of, i);
        apply_seed(mask, of, MASK_SUBTRACT, lane_bits, sum);
        for (size_t j = 0; j < n; j++)
            if ((survivors >> j & 1U) == 0) {
                pair_seed(of, i, j);
                apply_seed(mask, of, i < j ? MASK_SUBTRACT : MASK_ADD, lane_bits, sum);
            }
    }
}

static void assert_sum_of(size_t n, unsigned survivors, uint16_t suite, unsigned lane_bits)
{
    static uint8_t sum[LANES_BYTES], expected[LANES_BYTES], lanes[LANES_BYTES];
    struct mask *mask = open_suite(suite);

    if (mask == NULL)
        return;
    memset(sum, 0, sizeof sum);
    memset(expected, 0, sizeof expected);
    for (size_t i = 0; i < n; i++) {
        if ((survivors >> i & 1U) == 0)
            continue;
        memcpy(lanes, start_values + 32 * i, sizeof lanes);
        add_lanes(lane_bits, expected, lanes);
        mask_site(mask, i, n, lane_bits, lanes);
        assert_memory_not_equal(lanes, start_values + 32 * i, 32);
        add_lanes(lane_bits, sum, lanes);
    }
    unmask(mask, n, survivors, lane_bits, sum);
    assert_memory_equal(sum, expected, sizeof sum);
    mask_close(mask);
}

static void masks_of_three_to_ten_sites_cancel(void **state)
{
    (void)state;
    for (size_t n = 3; n <= N_MAX; n++)
        for (unsigned lane_bits = 16; lane_bits <= 32; lane_bits += 16)
            for (size_t k = 0; k < N_SUITES; k++)
                if (suites[k] != MASK_SM4 || n == 3) // slow
                    assert_sum_of(n, (1U << n) - 1, suites[k], lane_bits);
}

static void sums_are_exact_whoever_is_lost(void **state)
{
    (void)state;
    for (size_t n = 3; n <= 5; n++)
        for (unsigned survivors = 1; survivors < 1U << n; survivors++)
            for (unsigned lane_bits = 16; lane_bits <= 32; lane_bits += 16)
                assert_sum_of(n, survivors, MASK_AES256, lane_bits);
    assert_sum_of(N_MAX, 0x2b7, MASK_CHACHA20, 16);
    assert_sum_of(N_MAX, 0x1da, MASK_AES256, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suite_1_is_aes_256_in_counter_mode),
        cmocka_unit_test(suite_2_is_chacha20),
        cmocka_unit_test(suite_3_is_sm4_in_counter_mode_with_keys_by_sm3),
        cmocka_unit_test(unknown_suites_are_refused),
        cmocka_unit_test(the_whole_equals_its_pieces),
        cmocka_unit_test(lanes_add_and_subtract_without_a_carry_between_them),
        cmocka_unit_test(nothing_beside_the_lanes_is_touched),
        cmocka_unit_test(what_is_added_can_be_taken_away),
        cmocka_unit_test(seed_segment_and_suite_all_matter),
        cmocka_unit_test(masks_of_three_to_ten_sites_cancel),
        cmocka_unit_test(sums_are_exact_whoever_is_lost),
    };

    return cmocka_run_group_tests_name("mask", tests, start, NULL);
}
