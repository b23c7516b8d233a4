#include "round/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct journal_record record, again; // too large for the stack
static uint8_t bytes[JOURNAL_RECORD_MAX], second[JOURNAL_RECORD_MAX];
static const uint8_t some[] = "some bytes";

static void a_start(struct gather_run *run)
{
    *run = (struct gather_run){.plan = some,
                               .plan_len = sizeof some,
                               .rounds = 3,
                               .n_parameters = 10,
                               .update_bytes = 44,
                               .lane_bits = 32,
                               .min_sites = 2,
                               .deadline_ms = 1000,
                               .n_sites = 2};
    run->site[0] = (struct gather_site){.id = 1, .nominal_size = 100};
    run->site[1] = (struct gather_site){.id = 7, .nominal_size = 50};
}

static void example(enum journal_kind kind)
{
    memset(&record, 0, sizeof record);
    record.kind = kind;
    if (kind == JOURNAL_RUN_START) {
        a_start(&record.start.run);
    } else if (kind == JOURNAL_ROUND_OPEN) {
        record.open = (struct journal_open){.body = some, .body_len = sizeof some, .n = 2};
    } else if (kind == JOURNAL_SURVIVORS) {
        record.survivors = (struct journal_survivors){.round = 1,
                                                      .attempt = 1,
                                                      .body = some,
                                                      .body_len = 4,
                                                      .bundles = {2, {1, 7}, {{1}, {2}}},
                                                      .adverts = some,
                                                      .adverts_len = 2};
    } else if (kind == JOURNAL_SUSPEND) {
        record.suspend = (struct journal_suspend){.site = 7,
                                                  .code = MESSAGE_CODE_EQUIVOCATION,
                                                  .first = some,
                                                  .first_len = 3,
                                                  .second = some,
                                                  .second_len = 5};
    }
}

static void every_record_comes_back_as_it_was_written(void **state)
{
    size_t len, len_again;

    (void)state;
    for (int kind = JOURNAL_RUN_START; kind < JOURNAL_KINDS; kind++) {
        example((enum journal_kind)kind);
        assert_int_equal(journal_encode(&record, bytes, sizeof bytes, &len), CHOIR_OK);
        assert_int_equal(journal_decode(bytes, len, &again), CHOIR_OK);
        assert_int_equal(journal_encode(&again, second, sizeof second, &len_again), CHOIR_OK);
        assert_int_equal(len_again, len);
        assert_memory_equal(bytes, second, len);
    }
}

static void a_record_of_every_kind_cut_at_every_byte_is_refused(void **state)
{
    size_t len;

    (void)state;
    for (int kind = JOURNAL_RUN_START; kind < JOURNAL_KINDS; kind++) {
        example((enum journal_kind)kind);
        assert_int_equal(journal_encode(&record, bytes, sizeof bytes, &len), CHOIR_OK);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(journal_decode(bytes, cut, &again), CHOIR_ERR_FORMAT);
        bytes[len] = 0;
        assert_int_equal(journal_decode(bytes, len + 1, &again), CHOIR_ERR_FORMAT);
    }
}

static void a_record_that_is_out_of_range_is_not_written(void **state)
{
    size_t len;

    (void)state;
    example(JOURNAL_RUN_START);
    record.start.run.site[1].id = 1; // twice
    assert_int_equal(journal_encode(&record, bytes, sizeof bytes, &len), CHOIR_ERR_FORMAT);
    example(JOURNAL_RUN_START);
    record.start.run.lane_bits = 8;
    assert_int_equal(journal_encode(&record, bytes, sizeof bytes, &len), CHOIR_ERR_FORMAT);
    example(JOURNAL_ABANDON);
    assert_int_equal(journal_encode(&record, bytes, 5, &len), CHOIR_ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_back_as_it_was_written),
        cmocka_unit_test(a_record_of_every_kind_cut_at_every_byte_is_refused),
        cmocka_unit_test(a_record_that_is_out_of_range_is_not_written),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
