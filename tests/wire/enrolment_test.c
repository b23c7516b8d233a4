#include "wire/enrolment.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/wire/federation.h"

static struct roster_site site;
static struct party party;
static uint8_t file[ENROLMENT_BYTES_MAX];
static size_t file_len;

static int sign_one(void **state)
{
    (void)state;
    if (rng_start() != CHOIR_OK)
        return -1;
    make_site(&site, &party, "north-1");
    rng_bytes(site.commitment, sizeof site.commitment);
    return enrolment_sign(file, &file_len, &site, party.sign_secret) == CHOIR_OK ? 0 : -1;
}

static void a_signed_file_reads_back(void **state)
{
    struct roster_site read;

    (void)state;
    assert_int_equal(enrolment_decode(file, file_len, &read), CHOIR_OK);
    assert_memory_equal(&read, &site, sizeof read);
}

static void every_changed_bit_and_every_cut_is_found(void **state)
{
    struct roster_site read;

    (void)state;
    for (size_t i = 0; i < file_len; i++) {
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(enrolment_decode(file, file_len, &read), CHOIR_OK);
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(enrolment_decode(file, i, &read), CHOIR_OK);
    }
}

static void another_key_does_not_sign(void **state)
{
    struct roster_site other;
    struct party stranger;

    (void)state;
    make_site(&other, &stranger, "x");
    assert_int_equal(enrolment_sign(file, &file_len, &site, stranger.sign_secret),
                     CHOIR_ERR_FORMAT);
    snprintf(site.name, sizeof site.name, "Bad Name");
    assert_int_equal(enrolment_sign(file, &file_len, &site, party.sign_secret), CHOIR_ERR_FORMAT);
}

static void a_relays_file_reads_back_and_no_changed_one_does(void **state)
{
    struct roster_relay relay = {.name = "inland",
                                 .control = "tcp://127.0.0.1:1",
                                 .bulk = "tcp://127.0.0.1:2"},
                        read;

    (void)state;
    memcpy(relay.sign_key, site.sign_key, sizeof relay.sign_key);
    memcpy(relay.curve_key, site.curve_key, sizeof relay.curve_key);
    assert_int_equal(enrolment_sign_relay(file, &file_len, &relay, party.sign_secret), CHOIR_OK);
    assert_int_equal(enrolment_decode_relay(file, file_len, &read), CHOIR_OK);
    assert_memory_equal(&read, &relay, sizeof read);
    assert_int_equal(enrolment_decode(file, file_len, &site), CHOIR_ERR_FORMAT);
    for (size_t i = 0; i < file_len; i++) {
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(enrolment_decode_relay(file, file_len, &read), CHOIR_OK);
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(enrolment_decode_relay(file, i, &read), CHOIR_OK);
    }
}

static void a_shown_nonce_reads_back_and_no_changed_one_does(void **state)
{
    struct enrolment_nonce shown = {.name = "north-1"}, read;

    (void)state;
    memcpy(shown.sign_key, site.sign_key, sizeof shown.sign_key);
    rng_bytes(shown.list, sizeof shown.list);
    rng_bytes(shown.nonce, sizeof shown.nonce);
    assert_int_equal(enrolment_sign_nonce(file, &file_len, &shown, party.sign_secret), CHOIR_OK);
    assert_int_equal(enrolment_decode_nonce(file, file_len, &read), CHOIR_OK);
    assert_memory_equal(&read, &shown, sizeof read);
    for (size_t i = 0; i < file_len; i++) {
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(enrolment_decode_nonce(file, file_len, &read), CHOIR_OK);
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(enrolment_decode_nonce(file, i, &read), CHOIR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_signed_file_reads_back, sign_one),
        cmocka_unit_test_setup(every_changed_bit_and_every_cut_is_found, sign_one),
        cmocka_unit_test_setup(another_key_does_not_sign, sign_one),
        cmocka_unit_test_setup(a_relays_file_reads_back_and_no_changed_one_does, sign_one),
        cmocka_unit_test_setup(a_shown_nonce_reads_back_and_no_changed_one_does, sign_one),
    };

    return cmocka_run_group_tests_name("enrolment", tests, NULL, NULL);
}
