#include "wire/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/wire/federation.h"

enum { BODY_BYTES = 40, KIND_AT = 6, SENDER_AT = 36, BODY_LEN_AT = ENVELOPE_HEAD_BYTES - 4 };

static struct federation federation;
static struct envelope header;
static uint8_t body[BODY_BYTES];
static uint8_t *bytes;
static size_t len;

static int seal_one(void **state)
{
    (void)state;
    make_federation(&federation);
    header = (struct envelope){
        .kind = MESSAGE_ROUND_CLOSE,
        .round_no = 7,
        .attempt = 2,
        .sender = 3,
        .sequence = 99,
        .roster_epoch = 1,
    };
    rng_bytes(header.run, sizeof header.run);
    rng_bytes(header.transcript, sizeof header.transcript);
    rng_bytes(body, sizeof body);
    return envelope_seal(&header, body, sizeof body, federation.site[2].sign_secret, &bytes,
                         &len) == CHOIR_OK
               ? 0
               : -1;
}

static int release(void **state)
{
    (void)state;
    free(bytes);
    bytes = NULL;
    roster_release(&federation.roster);
    return 0;
}

static enum choir_err open_it(struct envelope *found, const uint8_t **found_body, size_t *body_len)
{
    return envelope_open(bytes, len, &federation.roster, found, found_body, body_len);
}

static enum choir_err open_quietly(void)
{
    struct envelope found;
    const uint8_t *found_body;
    size_t body_len;

    return open_it(&found, &found_body, &body_len);
}

static void what_was_sealed_is_opened(void **state)
{
    struct envelope found = {0};
    const uint8_t *found_body = NULL;
    size_t body_len = 0;

    (void)state;
    assert_int_equal(len, ENVELOPE_HEAD_BYTES + sizeof body + SIGN_BYTES);
    assert_int_equal(open_it(&found, &found_body, &body_len), CHOIR_OK);
    assert_int_equal(found.kind, header.kind);
    assert_memory_equal(found.run, header.run, sizeof header.run);
    assert_int_equal(found.round_no, 7);
    assert_int_equal(found.attempt, 2);
    assert_int_equal(found.sender, 3);
    assert_int_equal(found.sequence, 99);
    assert_memory_equal(found.transcript, header.transcript, sizeof header.transcript);
    assert_int_equal(body_len, sizeof body);
    assert_memory_equal(found_body, body, sizeof body);
}

static void every_changed_bit_and_every_cut_is_found(void **state)
{
    size_t whole = len;

    (void)state;
    for (size_t i = 0; i < whole; i++) {
        bytes[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(open_quietly(), CHOIR_OK);
        bytes[i] ^= (uint8_t)(1 << i % 8);
        len = i;
        assert_int_not_equal(open_quietly(), CHOIR_OK);
        len = whole;
    }
    assert_int_equal(open_quietly(), CHOIR_OK);
}

static void one_site_cannot_speak_for_another(void **state)
{
    (void)state;
    free(bytes);
    header.sender = 1;
    assert_int_equal(
        envelope_seal(&header, body, sizeof body, federation.site[2].sign_secret, &bytes, &len),
        CHOIR_OK);
    assert_int_equal(open_quietly(), CHOIR_ERR_FORGED);
}

static void a_sender_who_is_not_on_the_roster_is_missing(void **state)
{
    (void)state;
    put_u32(bytes + SENDER_AT, 17);
    assert_int_equal(open_quietly(), CHOIR_ERR_MISSING);
}

static void another_epoch_is_refused(void **state)
{
    (void)state;
    federation.roster.epoch = 2;
    assert_int_equal(open_quietly(), CHOIR_ERR_REFUSED);
}

static void a_body_longer_than_its_kind_allows_is_refused(void **state)
{
    uint8_t *big = calloc(1, MESSAGE_BODY_MAX + 1);
    uint8_t *none = NULL;

    (void)state;
    assert_non_null(big);
    for (unsigned number = 0; number <= MESSAGE_KINDS; number++) {
        uint16_t kind = (uint16_t)number;
        size_t max = message_body_max(kind);
        enum choir_err expected = message_is_control(kind) ? CHOIR_OK : CHOIR_ERR_FORMAT;

        header.kind = kind;
        assert_int_equal(
            envelope_seal(&header, big, max + 1, federation.site[2].sign_secret, &none, &len),
            CHOIR_ERR_FORMAT);
        assert_int_equal(
            envelope_seal(&header, big, max, federation.site[2].sign_secret, &none, &len),
            expected);
        if (expected == CHOIR_OK)
            free(none);
    }
    free(big);
}

// Also where the signature is right: the site itself may be the one who sends it.
static void a_signed_body_longer_than_its_kind_allows_is_not_opened(void **state)
{
    static const char context[] = "CHOIR-MSG";
    uint8_t message[sizeof context + ENVELOPE_HEAD_BYTES + BODY_BYTES];

    (void)state;
    assert_true(message_body_max(MESSAGE_HEARTBEAT) < BODY_BYTES);
    put_u16(bytes + KIND_AT, MESSAGE_HEARTBEAT);
    memcpy(message, context, sizeof context);
    memcpy(message + sizeof context, bytes, len - SIGN_BYTES);
    sign_make(bytes + len - SIGN_BYTES, message, sizeof message, federation.site[2].sign_secret);
    assert_int_equal(open_quietly(), CHOIR_ERR_FORMAT);
}

static void a_length_that_does_not_fit_the_frame_is_malformed(void **state)
{
    (void)state;
    put_u32(bytes + BODY_LEN_AT, UINT32_MAX);
    assert_int_equal(open_quietly(), CHOIR_ERR_FORMAT);
    put_u32(bytes + BODY_LEN_AT, BODY_BYTES - 1);
    assert_int_equal(open_quietly(), CHOIR_ERR_FORMAT);
    put_u32(bytes + BODY_LEN_AT, BODY_BYTES);
    put_u16(bytes + KIND_AT, MESSAGE_BULK_FIRST);
    assert_int_equal(open_quietly(), CHOIR_ERR_FORMAT);
}

static void a_peek_sees_what_was_sealed_and_does_not_tell_whether_it_is_true(void **state)
{
    struct envelope found;
    const uint8_t *found_body;
    size_t body_len;

    (void)state;
    bytes[len - 1] ^= 1; // of the signature
    assert_int_equal(open_quietly(), CHOIR_ERR_FORGED);
    assert_int_equal(envelope_peek(bytes, len, &found, &found_body, &body_len), CHOIR_OK);
    assert_int_equal(found.sender, header.sender);
    assert_int_equal(found.round_no, header.round_no);
    assert_int_equal(body_len, sizeof body);
    assert_memory_equal(found_body, body, sizeof body);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(envelope_peek(bytes, cut, &found, &found_body, &body_len),
                         CHOIR_ERR_FORMAT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, seal_one, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_sealed_is_opened),
        TEST(every_changed_bit_and_every_cut_is_found),
        TEST(a_peek_sees_what_was_sealed_and_does_not_tell_whether_it_is_true),
        TEST(one_site_cannot_speak_for_another),
        TEST(a_sender_who_is_not_on_the_roster_is_missing),
        TEST(another_epoch_is_refused),
        TEST(a_body_longer_than_its_kind_allows_is_refused),
        TEST(a_signed_body_longer_than_its_kind_allows_is_not_opened),
        TEST(a_length_that_does_not_fit_the_frame_is_malformed),
    };

    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
