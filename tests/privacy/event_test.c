#include "privacy/event.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// One valid event of a kind: every parameter 1 except delta.
static struct privacy_event example(enum event_kind kind)
{
    struct privacy_event event = event_of(kind);
    const char *name;
    double value;

    for (size_t i = 0; event_parameter(&event, i, &name, &value); i++)
        assert_int_equal(event_set(&event, name, strcmp(name, "delta") == 0 ? 1e-6 : 1.0),
                         CHOIR_OK);
    return event;
}

static void every_kind_has_a_name_and_is_found_by_it(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_KINDS; i++) {
        enum event_kind found = EVENT_KINDS;

        assert_int_equal(event_kind_find(event_kind_name((enum event_kind)i), &found), CHOIR_OK);
        assert_int_equal(found, i);
    }
}

static void every_kind_survives_its_encoding(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_KINDS; i++) {
        struct privacy_event event = example((enum event_kind)i);
        struct privacy_event back;
        uint8_t bytes[EVENT_BYTES];
        struct buf buf = buf_over(bytes, sizeof bytes);
        struct view view = view_over(bytes, sizeof bytes);

        assert_null(event_problem(&event));
        event_encode(&buf, &event);
        assert_true(buf_ok(&buf));
        assert_int_equal(buf.len, EVENT_BYTES);
        event_decode(&view, &back);
        assert_true(view_done(&view));
        assert_memory_equal(&back, &event, sizeof event);
    }
}

static void a_changed_byte_gives_another_event_or_none(void **state)
{
    struct privacy_event event = example(EVENT_GAUSSIAN);
    uint8_t bytes[EVENT_BYTES];
    struct buf buf = buf_over(bytes, sizeof bytes);

    (void)state;
    event_encode(&buf, &event);
    for (size_t i = 0; i < EVENT_BYTES; i++) {
        struct privacy_event back;
        struct view view = view_over(bytes, sizeof bytes);

        bytes[i] ^= 1;
        event_decode(&view, &back);
        assert_memory_not_equal(&back, &event, sizeof event);
        bytes[i] ^= 1;
    }
}

static void a_short_event_is_refused(void **state)
{
    struct privacy_event back = example(EVENT_LAPLACE);
    uint8_t bytes[EVENT_BYTES] = {0};
    struct view view = view_over(bytes, sizeof bytes - 1);

    (void)state;
    event_decode(&view, &back);
    assert_false(view_done(&view));
    assert_int_equal(back.kind, EVENT_NONE);
}

static void an_event_that_never_happened_is_not_written(void **state)
{
    struct privacy_event event = example(EVENT_GAUSSIAN);
    uint8_t bytes[EVENT_BYTES];
    struct buf buf = buf_over(bytes, sizeof bytes);

    (void)state;
    event.count = 0;
    assert_null(event_problem(&event));
    event_encode(&buf, &event);
    assert_false(buf_ok(&buf));
}

static void noise_of_zero_below_zero_or_nan_is_a_problem(void **state)
{
    const double bad[] = {0.0, -1.0, (double)NAN, HUGE_VAL};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct privacy_event event = example(EVENT_GAUSSIAN);

        event.noise_multiplier = bad[i];
        assert_non_null(event_problem(&event));
    }
}

static void a_rate_outside_zero_to_one_is_a_problem(void **state)
{
    const double bad[] = {1.0000001, -1e-9, -0.0, (double)NAN};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct privacy_event event = example(EVENT_GAUSSIAN);

        event.sampling = SAMPLING_POISSON;
        event.sampling_rate = bad[i];
        assert_non_null(event_problem(&event));
    }
}

static void a_rate_without_sampling_is_a_problem(void **state)
{
    struct privacy_event event = example(EVENT_GAUSSIAN);

    (void)state;
    event.sampling_rate = 0.5;
    assert_non_null(event_problem(&event));
}

static void a_parameter_of_another_kind_is_a_problem(void **state)
{
    struct privacy_event event = example(EVENT_GAUSSIAN);

    (void)state;
    assert_int_equal(event_set(&event, "scale", 1.0), CHOIR_ERR_FORMAT);
    event.scale = 1.0;
    assert_non_null(event_problem(&event));
}

static void a_whole_number_is_wanted_where_it_is(void **state)
{
    struct privacy_event event = event_of(EVENT_TREE);

    (void)state;
    assert_int_equal(event_set(&event, "steps", 2.5), CHOIR_ERR_FORMAT);
    assert_int_equal(event_set(&event, "steps", -1.0), CHOIR_ERR_FORMAT);
    assert_int_equal(event_set(&event, "steps", (double)NAN), CHOIR_ERR_FORMAT);
    assert_int_equal(event_set(&event, "count", 1e300), CHOIR_ERR_FORMAT);
    assert_int_equal(event_set(&event, "steps", 1000.0), CHOIR_OK);
    assert_int_equal(event.steps, 1000);
}

static void samplers_without_a_poisson_guarantee_are_refused(void **state)
{
    enum event_sampling sampling = SAMPLING_NONE;

    (void)state;
    assert_int_equal(event_sampling_find("poisson", &sampling), CHOIR_OK);
    assert_int_equal(sampling, SAMPLING_POISSON);
    assert_int_equal(event_sampling_find("shuffle_epochs", &sampling), CHOIR_ERR_REFUSED);
    assert_int_equal(event_sampling_find("without_replacement", &sampling), CHOIR_ERR_REFUSED);
}

static void neighbours_by_replacement_are_refused(void **state)
{
    (void)state;
    assert_int_equal(event_neighboring_check("add_or_remove_one"), CHOIR_OK);
    assert_int_equal(event_neighboring_check("replace_one"), CHOIR_ERR_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_name_and_is_found_by_it),
        cmocka_unit_test(every_kind_survives_its_encoding),
        cmocka_unit_test(a_changed_byte_gives_another_event_or_none),
        cmocka_unit_test(a_short_event_is_refused),
        cmocka_unit_test(an_event_that_never_happened_is_not_written),
        cmocka_unit_test(noise_of_zero_below_zero_or_nan_is_a_problem),
        cmocka_unit_test(a_rate_outside_zero_to_one_is_a_problem),
        cmocka_unit_test(a_rate_without_sampling_is_a_problem),
        cmocka_unit_test(a_parameter_of_another_kind_is_a_problem),
        cmocka_unit_test(a_whole_number_is_wanted_where_it_is),
        cmocka_unit_test(samplers_without_a_poisson_guarantee_are_refused),
        cmocka_unit_test(neighbours_by_replacement_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
