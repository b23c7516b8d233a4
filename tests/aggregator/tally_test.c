/* A relay's sum: exactly the vectors that were asked for, each as it was taken. */
#include "aggregator/tally.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hex.h"
#include "crypto/rng.h"

enum { N_LANES = 3 * 65536 + 5, VECTORS = 3 };

/* Vectors as the intake keeps them. */
struct spool {
    char folder[64];
    int fd;
    struct intake *intake;
    struct tally tally;
    struct relay_letter sum;
    uint8_t *vector[VECTORS];
};

static struct spool spool;

static void path_of(char path[static 256], uint32_t site, const uint8_t root[static HASH_BYTES])
{
    char hex[2 * HASH_BYTES + 1];

    hex_put(hex, root, HASH_BYTES);
    snprintf(path, 256, "%s/%u-%s", spool.folder, site, hex);
}

static void root_of(const uint8_t *bytes, size_t len, uint8_t root[static HASH_BYTES])
{
    struct source *source = NULL;

    assert_int_equal(source_of_memory(root, bytes, len, &source), CHOIR_OK);
    memcpy(root, source_root(source), HASH_BYTES);
    source_free(source);
}

static void fill(uint32_t lane_bits)
{
    size_t len = (size_t)N_LANES * lane_bits / 8;

    spool.sum.kind = RELAY_SUM;
    spool.sum.relay = ROSTER_RELAY_FIRST;
    spool.sum.round = spool.sum.attempt = 1;
    spool.sum.lane_bits = (uint16_t)lane_bits;
    spool.sum.bytes = len;
    spool.sum.n = VECTORS;
    for (uint32_t i = 0; i < VECTORS; i++) {
        char path[256];

        spool.vector[i] = malloc(len);
        assert_non_null(spool.vector[i]);
        rng_bytes(spool.vector[i], len);
        spool.sum.vector[i].site = 10 + i;
        root_of(spool.vector[i], len, spool.sum.vector[i].root);
        path_of(path, 10 + i, spool.sum.vector[i].root);
        assert_int_equal(file_replace(AT_FDCWD, path, 0600, spool.vector[i], len), CHOIR_OK);
    }
}

static int open_spool(void **state)
{
    (void)state;
    memset(&spool, 0, sizeof spool);
    tally_init(&spool.tally);
    snprintf(spool.folder, sizeof spool.folder, "/tmp/choir-tally-XXXXXX");
    if (rng_start() != CHOIR_OK || mkdtemp(spool.folder) == NULL)
        return -1;
    spool.fd = open(spool.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return spool.fd >= 0 && intake_open(spool.folder, VECTORS, &spool.intake) == CHOIR_OK ? 0 : -1;
}

static int close_spool(void **state)
{
    (void)state;
    intake_clear(spool.intake);
    intake_close(spool.intake);
    tally_release(&spool.tally);
    for (size_t i = 0; i < VECTORS; i++)
        free(spool.vector[i]);
    close(spool.fd);
    return rmdir(spool.folder);
}

static uint32_t lane(const uint8_t *bytes, size_t i, uint32_t lane_bits)
{
    return lane_bits == 32 ? get_u32(bytes + 4 * i) : get_u16(bytes + 2 * i);
}

static void assert_sum(uint32_t lane_bits)
{
    uint8_t *room = malloc(BULK_CHUNK_BYTES);
    size_t at = 0, per_chunk = BULK_CHUNK_BYTES * 8 / lane_bits;

    assert_non_null(room);
    assert_int_equal(source_bytes(spool.tally.source), spool.sum.bytes);
    assert_memory_equal(source_id(spool.tally.source), source_root(spool.tally.source), HASH_BYTES);
    for (uint32_t k = 0; k < source_chunks(spool.tally.source); k++) {
        const uint8_t *chunk = NULL;

        assert_int_equal(source_read(spool.tally.source, k, room, &chunk), CHOIR_OK);
        for (size_t i = 0; i < per_chunk && at < N_LANES; i++, at++) {
            uint32_t expected = 0;

            for (size_t v = 0; v < spool.sum.n; v++)
                expected += lane(spool.vector[v], at, lane_bits);
            assert_int_equal(lane(chunk, i, lane_bits),
                             lane_bits == 32 ? expected : expected & UINT16_MAX);
        }
    }
    assert_int_equal(at, N_LANES);
    free(room);
}

static void the_sum_is_that_of_the_vectors_asked_for(void **state)
{
    uint8_t all[HASH_BYTES];
    uint32_t lacking = 0;

    (void)state;
    fill(32);
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_OK);
    assert_sum(32);
    memcpy(all, source_root(spool.tally.source), HASH_BYTES);
    spool.sum.n = 2;
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_OK);
    assert_sum(32);
    assert_memory_not_equal(source_root(spool.tally.source), all, HASH_BYTES);
}

static void lanes_of_16_bits_wrap_by_themselves(void **state)
{
    uint32_t lacking = 0;

    (void)state;
    fill(16);
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_OK);
    assert_sum(16);
}

static void the_same_question_gives_the_same_bytes(void **state)
{
    uint8_t first[HASH_BYTES];
    uint32_t lacking = 0;

    (void)state;
    fill(32);
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_OK);
    memcpy(first, source_root(spool.tally.source), HASH_BYTES);
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_OK);
    assert_memory_equal(first, source_root(spool.tally.source), HASH_BYTES);
}

static void a_vector_that_is_not_there_is_named(void **state)
{
    uint32_t lacking = 0;

    (void)state;
    fill(32);
    spool.sum.vector[1].root[0] ^= 1;
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_ERR_MISSING);
    assert_int_equal(lacking, 11);
    assert_null(spool.tally.source);
}

static void a_vector_that_changed_on_disk_is_never_added(void **state)
{
    char path[256];
    uint32_t lacking = 0;
    uint8_t other;

    (void)state;
    fill(32);
    path_of(path, 12, spool.sum.vector[2].root);
    other = spool.vector[2][70000] ^ 1;
    {
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0 && pwrite(fd, &other, 1, 70000) == 1);
        close(fd);
    }
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_ERR_MISSING);
    assert_int_equal(lacking, 12);
}

static void a_vector_of_another_length_is_never_added(void **state)
{
    uint32_t lacking = 0;

    (void)state;
    fill(32);
    spool.sum.bytes -= 4;
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_ERR_MISSING);
    spool.sum.bytes -= 1; // no whole lanes
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_ERR_FORMAT);
    spool.sum.bytes = 4; // a constant lane and no value
    assert_int_equal(tally_make(&spool.tally, spool.intake, spool.fd, &spool.sum, &lacking),
                     CHOIR_ERR_FORMAT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_spool, close_spool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_sum_is_that_of_the_vectors_asked_for),
        TEST(lanes_of_16_bits_wrap_by_themselves),
        TEST(the_same_question_gives_the_same_bytes),
        TEST(a_vector_that_is_not_there_is_named),
        TEST(a_vector_that_changed_on_disk_is_never_added),
        TEST(a_vector_of_another_length_is_never_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
