#include "wire/bulk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static const uint8_t payload[2 * HASH_BYTES] = {1, 2, 3};

static const struct bulk_message messages[] = {
    {.kind = BULK_FETCH, .id = {7}},
    {.kind = BULK_OPEN, .id = {7}, .bytes = 300000, .root = {9, 8}},
    {.kind = BULK_LEAVES, .id = {7}, .first = 4, .n = 2, .payload = payload},
    {.kind = BULK_ASK, .id = {7}, .first = 5},
    {.kind = BULK_NEED, .id = {7}, .first = 64, .bitmap = 0x8001},
    {.kind = BULK_DATA, .id = {7}, .first = 3, .n = 11, .payload = payload},
    {.kind = BULK_DONE, .id = {7}},
    {.kind = BULK_REFUSED, .id = {7}, .code = BULK_TOO_BIG},
};
enum { N_MESSAGES = sizeof messages / sizeof *messages };

static uint8_t wire[BULK_BYTES_MAX];

static void every_message_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MESSAGES; i++) {
        struct bulk_message read;
        size_t len = 0;

        bulk_encode(&messages[i], wire, sizeof wire, &len);
        assert_int_equal(bulk_decode(wire, len, &read), CHOIR_OK);
        assert_int_equal(read.kind, messages[i].kind);
        assert_memory_equal(read.id, messages[i].id, HASH_BYTES);
        assert_int_equal(read.bytes, messages[i].bytes);
        assert_memory_equal(read.root, messages[i].root, HASH_BYTES);
        assert_int_equal(read.first, messages[i].first);
        assert_int_equal(read.n, messages[i].n);
        assert_int_equal(read.bitmap, messages[i].bitmap);
        assert_int_equal(read.code, messages[i].code);
        if (messages[i].kind == BULK_DATA)
            assert_memory_equal(read.payload, payload, read.n);
    }
}

static void every_cut_and_every_extra_byte_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MESSAGES; i++) {
        struct bulk_message read;
        size_t len = 0;

        bulk_encode(&messages[i], wire, sizeof wire, &len);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(bulk_decode(wire, cut, &read), CHOIR_ERR_FORMAT);
        assert_int_equal(bulk_decode(wire, len + 1, &read), CHOIR_ERR_FORMAT);
    }
}

static void refuse_with(size_t i, size_t at, uint32_t value)
{
    struct bulk_message read;
    size_t len = 0;

    bulk_encode(&messages[i], wire, sizeof wire, &len);
    put_u32(wire + BULK_HEAD_BYTES + at, value);
    assert_int_equal(bulk_decode(wire, len, &read), CHOIR_ERR_FORMAT);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    refuse_with(1, 0, 0);                   // OPEN of nothing
    refuse_with(1, 4, 64);                  // OPEN of 256 GiB
    refuse_with(1, 8, 1 << 20);             // another chunk size
    refuse_with(2, 4, 0);                   // no leaves
    refuse_with(2, 4, BULK_LEAVES_MAX + 1); // too many leaves
    refuse_with(2, 0, BULK_CHUNKS_MAX - 1); // leaves beyond the largest content
    refuse_with(3, 0, BULK_CHUNKS_MAX);
    refuse_with(4, 0, BULK_CHUNKS_MAX);
    refuse_with(4, 4, 0); // the bitmap of this one is in its low half: nothing needed
    refuse_with(5, 0, BULK_CHUNKS_MAX);
    refuse_with(5, 4, 0);
    refuse_with(5, 4, BULK_CHUNK_BYTES + 1);
}

static void unknown_kinds_versions_and_codes_are_refused(void **state)
{
    struct bulk_message read;
    size_t len = 0;

    (void)state;
    for (size_t at = 0; at < 4; at++) {
        bulk_encode(&messages[0], wire, sizeof wire, &len);
        wire[at] = 0xee;
        assert_int_equal(bulk_decode(wire, len, &read), CHOIR_ERR_FORMAT);
    }
    bulk_encode(&messages[7], wire, sizeof wire, &len);
    wire[BULK_HEAD_BYTES] = BULK_FAILED + 1;
    assert_int_equal(bulk_decode(wire, len, &read), CHOIR_ERR_FORMAT);
}

static void chunks_are_counted_with_the_short_one(void **state)
{
    (void)state;
    assert_int_equal(bulk_chunks(1), 1);
    assert_int_equal(bulk_chunks(BULK_CHUNK_BYTES), 1);
    assert_int_equal(bulk_chunks(BULK_CHUNK_BYTES + 1), 2);
    assert_int_equal(bulk_chunks(BULK_CONTENT_MAX), BULK_CHUNKS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_reads_back),
        cmocka_unit_test(every_cut_and_every_extra_byte_is_found),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(unknown_kinds_versions_and_codes_are_refused),
        cmocka_unit_test(chunks_are_counted_with_the_short_one),
    };

    return cmocka_run_group_tests_name("bulk", tests, NULL, NULL);
}
