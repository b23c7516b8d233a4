#include "node/cargo.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/merkle.h"
#include "crypto/rng.h"
#include "privacy/quantize.h"
#include "wire/bulk.h"
#include "wire/transfer.h"

enum {
    SHORT = 100, // parameters of the last segment
    PARAMETERS = 2 * QUANTIZE_SEGMENT_VALUES + SHORT,
    LANES = PARAMETERS + 3,
    TERMS = 5,
    BYTES_MAX = LANES * 4,
};

/* A site that has a charged update, and the aggregator's side of the upload. */
struct upload {
    struct cargo *cargo;
    struct receiver *receiver;
    struct maskset *masks;
    int scratch, spool;
    uint32_t lane_bits;
    size_t len;
    uint8_t plain[BYTES_MAX];
    uint8_t masked[BYTES_MAX]; // what is to arrive
    uint8_t message[BULK_BYTES_MAX];
    struct site_update update;
    uint64_t now_ms;
    uint32_t data_sent;
};

static int file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    return fd;
}

static size_t size_of(int fd)
{
    struct stat about;

    assert_int_equal(fstat(fd, &about), 0);
    return (size_t)about.st_size;
}

// The definition, lane by lane, apart from the code that is fast.
static void add_term(struct upload *upload, uint16_t suite, enum mask_sign sign,
                     const uint8_t *seed)
{
    size_t width = upload->lane_bits / 8, segment_bytes = QUANTIZE_SEGMENT_LANES * width;
    static uint8_t stream[QUANTIZE_SEGMENT_LANES * 4];
    struct mask *mask;

    assert_int_equal(mask_open(suite, &mask), CHOIR_OK);
    for (size_t at = 0; at < upload->len; at++) {
        size_t in = at % segment_bytes;

        if (in == 0) {
            mask_begin(mask, seed, (uint32_t)(at / segment_bytes));
            mask_stream(mask, 0, stream, segment_bytes);
        }
        if (at % width != 0)
            continue;
        if (width == 4) {
            uint32_t lane = get_u32(upload->masked + at), key = get_u32(stream + in);

            put_u32(upload->masked + at, sign == MASK_ADD ? lane + key : lane - key);
        } else {
            uint32_t lane = get_u16(upload->masked + at), key = get_u16(stream + in);

            put_u16(upload->masked + at, (uint16_t)(sign == MASK_ADD ? lane + key : lane - key));
        }
    }
    mask_close(mask);
}

static void make_masks(struct upload *upload, uint16_t suite)
{
    maskset_free(upload->masks);
    upload->masks = NULL;
    memcpy(upload->masked, upload->plain, upload->len);
    assert_int_equal(maskset_new(suite, TERMS, &upload->masks), CHOIR_OK);
    for (size_t i = 0; i < TERMS; i++) {
        enum mask_sign sign = i % 2 == 0 ? MASK_ADD : MASK_SUBTRACT;
        uint8_t seed[MASK_SEED_BYTES];

        rng_bytes(seed, sizeof seed);
        maskset_add(upload->masks, sign, seed);
        add_term(upload, suite, sign, seed);
    }
}

static void begin(struct upload *upload, uint32_t lane_bits)
{
    memset(upload, 0, sizeof *upload);
    upload->lane_bits = lane_bits;
    upload->len = (size_t)LANES * (lane_bits / 8);
    upload->scratch = file_of("", 0);
    upload->spool = -1;
    rng_bytes(upload->plain, upload->len);
    rng_bytes(upload->update.digest, sizeof upload->update.digest);
    upload->update.bytes = upload->len;
    assert_int_equal(cargo_new(4, upload->scratch, &upload->cargo), CHOIR_OK);
    assert_int_equal(
        cargo_keep(upload->cargo, &upload->update, true, file_of(upload->plain, upload->len)),
        CHOIR_OK);
}

static void finish(struct upload *upload)
{
    cargo_free(upload->cargo);
    receiver_free(upload->receiver);
    maskset_free(upload->masks);
    close(upload->scratch);
    if (upload->spool >= 0)
        close(upload->spool);
}

static enum choir_err ask_to_mask(struct upload *upload)
{
    const struct cargo_masks masks = {
        .n_parameters = PARAMETERS, .lane_bits = upload->lane_bits, .masks = upload->masks};

    return cargo_mask(upload->cargo, upload->update.digest, &masks);
}

// Works until there is news; how many slices it took.
static size_t work(struct upload *upload, enum cargo_news expected)
{
    enum cargo_news news = CARGO_NOTHING;
    size_t slices = 0;

    while (news == CARGO_NOTHING) {
        assert_true(cargo_is_masking(upload->cargo));
        assert_int_equal(cargo_work(upload->cargo, &news), CHOIR_OK);
        slices++;
    }
    assert_int_equal(news, expected);
    assert_false(cargo_is_masking(upload->cargo));
    return slices;
}

static void open_receiver(struct upload *upload)
{
    struct receiver_settings settings = {
        .max_bytes = upload->len, .root = cargo_root(upload->cargo), .window = 1};
    enum cargo_news news;

    receiver_free(upload->receiver);
    if (upload->spool >= 0)
        close(upload->spool);
    upload->spool = file_of("", 0);
    settings.fd = upload->spool;
    memcpy(settings.id, cargo_root(upload->cargo), HASH_BYTES);
    assert_int_equal(receiver_new(&settings, &upload->receiver), CHOIR_OK);
    assert_int_equal(cargo_upload(upload->cargo, cargo_root(upload->cargo), &news), CHOIR_OK);
    assert_int_equal(news, CARGO_NOTHING);
}

// Carries messages both ways until the aggregator has all, or `most` chunks went up.
static bool carry(struct upload *upload, uint32_t most)
{
    enum cargo_news news = CARGO_NOTHING;
    uint32_t sent = 0;

    for (unsigned turns = 0; news != CARGO_UPLOADED && turns < 1000; turns++) {
        struct bulk_message message;
        size_t len;

        if (cargo_next(upload->cargo, upload->now_ms, upload->message, sizeof upload->message,
                       &len) == CHOIR_OK) {
            assert_int_equal(bulk_decode(upload->message, len, &message), CHOIR_OK);
            if (message.kind == BULK_DATA && sent++ == most)
                return false; // cut: it does not arrive
            assert_int_equal(receiver_take(upload->receiver, &message, upload->now_ms), CHOIR_OK);
        }
        if (receiver_next(upload->receiver, upload->now_ms, upload->message, sizeof upload->message,
                          &len) == CHOIR_OK)
            assert_int_equal(cargo_take(upload->cargo, upload->message, len, upload->now_ms, &news),
                             CHOIR_OK);
        upload->now_ms += 10;
    }
    upload->data_sent += sent;
    return news == CARGO_UPLOADED;
}

static void check_arrived(struct upload *upload)
{
    static uint8_t arrived[BYTES_MAX];

    assert_int_equal(size_of(upload->spool), upload->len);
    assert_int_equal(pread(upload->spool, arrived, upload->len, 0), (ssize_t)upload->len);
    assert_memory_equal(arrived, upload->masked, upload->len);
}

static void mask_and_send(uint32_t lane_bits, uint16_t suite)
{
    static struct upload upload;

    begin(&upload, lane_bits);
    make_masks(&upload, suite);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    (void)work(&upload, CARGO_MASKED);
    maskset_free(upload.masks); // they are of no use any more
    upload.masks = NULL;
    assert_int_equal(cargo_bytes(upload.cargo), upload.len);
    open_receiver(&upload);
    assert_true(carry(&upload, UINT32_MAX));
    check_arrived(&upload);
    finish(&upload);
}

static void what_arrives_is_the_charged_file_under_all_masks(void **state)
{
    (void)state;
    for (uint32_t suite = MASK_AES256; suite <= MASK_SM4; suite++) {
        struct mask *mask;

        if (mask_open((uint16_t)suite, &mask) != CHOIR_OK)
            continue; // this machine's crypto library does not offer it
        mask_close(mask);
        mask_and_send(32, (uint16_t)suite);
        mask_and_send(16, (uint16_t)suite);
    }
}

static void the_root_is_that_of_the_masked_chunks(void **state)
{
    static struct upload upload;
    uint8_t leaves[4][HASH_BYTES], root[HASH_BYTES];
    size_t n;

    (void)state;
    begin(&upload, 32);
    make_masks(&upload, MASK_AES256);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    (void)work(&upload, CARGO_MASKED);
    n = bulk_chunks(upload.len);
    assert_in_range(n, 1, 4);
    for (size_t i = 0; i < n; i++) {
        size_t at = i * BULK_CHUNK_BYTES, left = upload.len - at;

        merkle_leaf(leaves[i], upload.masked + at,
                    left < BULK_CHUNK_BYTES ? left : BULK_CHUNK_BYTES);
    }
    merkle_root(root, (const uint8_t(*)[HASH_BYTES])leaves, n);
    assert_memory_equal(cargo_root(upload.cargo), root, HASH_BYTES);
    finish(&upload);
}

static void after_a_cut_only_what_is_missing_is_sent_and_nothing_masked_again(void **state)
{
    static struct upload upload;

    (void)state;
    begin(&upload, 32);
    make_masks(&upload, MASK_AES256);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    (void)work(&upload, CARGO_MASKED);
    maskset_free(upload.masks); // so that masking again would be found
    upload.masks = NULL;
    open_receiver(&upload);
    assert_false(carry(&upload, 2));
    upload.now_ms += 5000;
    cargo_reopen(upload.cargo);
    receiver_reopen(upload.receiver);
    upload.data_sent = 0;
    assert_true(carry(&upload, UINT32_MAX));
    assert_int_equal(upload.data_sent, bulk_chunks(upload.len) - 2);
    assert_false(cargo_is_masking(upload.cargo));
    check_arrived(&upload);
    finish(&upload);
}

static void a_stop_empties_the_scratch_file_and_the_next_attempt_has_its_own_masks(void **state)
{
    static struct upload upload;
    static uint8_t before[BYTES_MAX];
    enum cargo_news news;
    uint8_t root[HASH_BYTES];

    (void)state;
    begin(&upload, 16);
    make_masks(&upload, MASK_AES256);
    memcpy(before, upload.masked, upload.len);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    (void)work(&upload, CARGO_MASKED);
    memcpy(root, cargo_root(upload.cargo), sizeof root);
    open_receiver(&upload);
    assert_false(carry(&upload, 1));
    assert_int_equal(size_of(upload.scratch), upload.len);
    cargo_stop_upload(upload.cargo);
    assert_int_equal(size_of(upload.scratch), 0);
    assert_int_equal(cargo_upload(upload.cargo, root, &news), CHOIR_ERR_MISSING);
    make_masks(&upload, MASK_AES256);
    assert_memory_not_equal(before, upload.masked, upload.len);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    (void)work(&upload, CARGO_MASKED);
    open_receiver(&upload);
    assert_true(carry(&upload, UINT32_MAX));
    check_arrived(&upload);
    finish(&upload);
}

static void masking_can_be_stopped_halfway(void **state)
{
    static struct upload upload;
    struct maskset *many;
    enum cargo_news news;
    struct cargo_masks masks = {.n_parameters = PARAMETERS, .lane_bits = 32};

    (void)state;
    begin(&upload, 32);
    assert_int_equal(maskset_new(MASK_AES256, 200, &many), CHOIR_OK);
    for (uint8_t i = 0; i < 200; i++)
        maskset_add(many, MASK_ADD, (const uint8_t[MASK_SEED_BYTES]){i});
    masks.masks = many;
    assert_int_equal(cargo_mask(upload.cargo, upload.update.digest, &masks), CHOIR_OK);
    assert_int_equal(cargo_work(upload.cargo, &news), CHOIR_OK);
    assert_int_equal(news, CARGO_NOTHING);
    assert_int_equal(size_of(upload.scratch), BULK_CHUNK_BYTES); // a slice of many masks is short
    assert_int_equal(cargo_mask(upload.cargo, upload.update.digest, &masks), CHOIR_OK); // again
    assert_int_equal(size_of(upload.scratch), BULK_CHUNK_BYTES); // it went on, not anew
    cargo_stop_upload(upload.cargo);
    maskset_free(many);
    assert_false(cargo_is_masking(upload.cargo));
    assert_int_equal(size_of(upload.scratch), 0);
    assert_int_equal(cargo_work(upload.cargo, &news), CHOIR_OK);
    assert_int_equal(news, CARGO_NOTHING);
    finish(&upload);
}

static void an_update_kept_to_be_masked_never_leaves_as_it_is(void **state)
{
    static struct upload upload;
    uint8_t leaf[HASH_BYTES];
    enum cargo_news news;
    size_t len;

    (void)state;
    begin(&upload, 32);
    merkle_leaf(leaf, upload.plain, upload.len);
    assert_int_equal(cargo_upload(upload.cargo, leaf, &news), CHOIR_ERR_MISSING);
    assert_int_equal(cargo_upload(upload.cargo, upload.update.root, &news), CHOIR_ERR_MISSING);
    assert_int_equal(cargo_upload(upload.cargo, cargo_root(upload.cargo), &news),
                     CHOIR_ERR_MISSING);
    assert_int_equal(cargo_next(upload.cargo, 1, upload.message, sizeof upload.message, &len),
                     CHOIR_ERR_AGAIN);
    // Not while it is masked either.
    make_masks(&upload, MASK_AES256);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    assert_int_equal(cargo_upload(upload.cargo, upload.update.root, &news), CHOIR_ERR_MISSING);
    assert_int_equal(cargo_next(upload.cargo, 1, upload.message, sizeof upload.message, &len),
                     CHOIR_ERR_AGAIN);
    finish(&upload);
}

static void without_secure_aggregation_the_charged_bytes_are_sent(void **state)
{
    static struct upload upload;
    uint8_t leaf[HASH_BYTES];

    (void)state;
    begin(&upload, 16);
    upload.len = 1000;
    memcpy(upload.masked, upload.plain, upload.len);
    merkle_leaf(leaf, upload.plain, upload.len);
    merkle_root(upload.update.root, (const uint8_t(*)[HASH_BYTES])leaf, 1);
    assert_int_equal(
        cargo_keep(upload.cargo, &upload.update, false, file_of(upload.plain, upload.len)),
        CHOIR_OK);
    assert_memory_equal(cargo_root(upload.cargo), upload.update.root, HASH_BYTES);
    assert_int_equal(ask_to_mask(&upload), CHOIR_ERR_MISSING); // it is not one to be masked
    open_receiver(&upload);
    assert_true(carry(&upload, UINT32_MAX));
    check_arrived(&upload);
    cargo_stop_upload(upload.cargo);
    open_receiver(&upload); // another attempt sends the same bytes
    assert_true(carry(&upload, UINT32_MAX));
    upload.update.root[0] ^= 1;
    upload.update.digest[0] ^= 1;
    assert_int_equal(
        cargo_keep(upload.cargo, &upload.update, false, file_of(upload.plain, upload.len)),
        CHOIR_ERR_FORGED);
    finish(&upload);
}

static void what_cannot_be_masked_is_refused(void **state)
{
    static struct upload upload;
    uint8_t other[HASH_BYTES] = {1};
    struct cargo_masks masks = {.n_parameters = PARAMETERS, .lane_bits = 32};
    struct cargo *none;

    (void)state;
    begin(&upload, 32);
    make_masks(&upload, MASK_AES256);
    masks.masks = upload.masks;
    assert_int_equal(cargo_mask(upload.cargo, other, &masks), CHOIR_ERR_MISSING);
    masks.lane_bits = 16;
    assert_int_equal(cargo_mask(upload.cargo, upload.update.digest, &masks), CHOIR_ERR_FORMAT);
    masks.lane_bits = 24;
    assert_int_equal(cargo_mask(upload.cargo, upload.update.digest, &masks), CHOIR_ERR_FORMAT);
    masks.lane_bits = 32;
    for (uint64_t n = 0; n <= UINT64_C(1) << 62; n = 2 * n + 1) {
        masks.n_parameters = n;
        assert_int_equal(cargo_mask(upload.cargo, upload.update.digest, &masks), CHOIR_ERR_FORMAT);
    }
    assert_int_equal(cargo_new(4, -1, &none), CHOIR_OK);
    assert_int_equal(cargo_keep(none, &upload.update, true, file_of(upload.plain, upload.len)),
                     CHOIR_OK);
    masks.n_parameters = PARAMETERS;
    assert_int_equal(cargo_mask(none, upload.update.digest, &masks), CHOIR_ERR_MISSING);
    cargo_free(none);
    finish(&upload);
}

static void a_disk_that_takes_no_more_is_told_and_the_process_goes_on(void **state)
{
    static struct upload upload;

    (void)state;
    begin(&upload, 32);
    make_masks(&upload, MASK_AES256);
    assert_int_equal(fcntl(upload.scratch, F_ADD_SEALS, F_SEAL_GROW), 0);
    assert_int_equal(ask_to_mask(&upload), CHOIR_OK);
    (void)work(&upload, CARGO_MASK_FAILED);
    assert_true(strlen(cargo_fault(upload.cargo)) > 0);
    finish(&upload);
}

static long most_kib(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void a_large_update_takes_no_memory_of_its_size(void **state)
{
    enum { LARGE = 256 * QUANTIZE_SEGMENT_VALUES, LARGE_BYTES = 256 * BULK_CHUNK_BYTES };
    static struct upload upload;
    struct cargo_masks masks = {.n_parameters = LARGE, .lane_bits = 32};
    int plain = file_of("", 0);
    long before;

    (void)state;
    begin(&upload, 32);
    make_masks(&upload, MASK_AES256);
    masks.masks = upload.masks;
    assert_int_equal(ftruncate(plain, LARGE_BYTES), 0);
    upload.update.digest[0] ^= 1;
    assert_int_equal(cargo_keep(upload.cargo, &upload.update, true, plain), CHOIR_OK);
    before = most_kib();
    assert_int_equal(cargo_mask(upload.cargo, upload.update.digest, &masks), CHOIR_OK);
    assert_true(work(&upload, CARGO_MASKED) > 10); // in slices
    assert_int_equal(cargo_bytes(upload.cargo), LARGE_BYTES);
    assert_true(most_kib() - before < LARGE_BYTES / 1024 / 16);
    finish(&upload);
}

static int start(void **state)
{
    (void)state;
    return rng_start() == CHOIR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_arrives_is_the_charged_file_under_all_masks),
        cmocka_unit_test(the_root_is_that_of_the_masked_chunks),
        cmocka_unit_test(after_a_cut_only_what_is_missing_is_sent_and_nothing_masked_again),
        cmocka_unit_test(a_stop_empties_the_scratch_file_and_the_next_attempt_has_its_own_masks),
        cmocka_unit_test(masking_can_be_stopped_halfway),
        cmocka_unit_test(an_update_kept_to_be_masked_never_leaves_as_it_is),
        cmocka_unit_test(without_secure_aggregation_the_charged_bytes_are_sent),
        cmocka_unit_test(what_cannot_be_masked_is_refused),
        cmocka_unit_test(a_large_update_takes_no_memory_of_its_size),
        cmocka_unit_test(a_disk_that_takes_no_more_is_told_and_the_process_goes_on),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
