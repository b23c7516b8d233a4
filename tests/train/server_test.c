#include "train/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/train/near.h"

enum { N = 3 };

static const float deltas[2][N] = {{0.1F, -0.4F, 0.0F}, {0.05F, 0.3F, -0.2F}};

static struct server_spec spec_of(enum server_kind kind)
{
    return (struct server_spec){
        .kind = kind, .learning_rate = 0.5, .beta1 = 0.9, .beta2 = 0.99, .tau = 0.01};
}

static struct server *new_server(enum server_kind kind)
{
    struct server_spec spec = spec_of(kind);
    struct server *server = NULL;

    assert_int_equal(server_new(&spec, N, &server), CHOIR_OK);
    return server;
}

// Expected values: algorithm 2 of arXiv 2003.00295 worked out in double precision by a separate
// calculation.
static void expect_two_steps(enum server_kind kind, const double *expected)
{
    struct server *server = new_server(kind);
    float params[N] = {1.0F, -2.0F, 0.5F};

    assert_int_equal(server_step(server, params, deltas[0]), CHOIR_OK);
    assert_int_equal(server_step(server, params, deltas[1]), CHOIR_OK);
    assert_true(are_near(params, expected, N, 2e-6));
    server_free(server);
}

static void each_kind_follows_the_paper(void **state)
{
    (void)state;
    expect_two_steps(SERVER_FEDAVG, (const double[]){1.075, -2.05, 0.4});
    expect_two_steps(SERVER_FEDADAM, (const double[]){1.4885354060559013, -2.4398118125683284,
                                                      0.19055708000668076});
    expect_two_steps(SERVER_FEDYOGI, (const double[]){1.4871067811865475, -2.4395764373653206,
                                                      0.19098300562505272});
    expect_two_steps(SERVER_FEDADAGRAD, (const double[]){1.1025092222034067, -2.0546468224393806,
                                                         0.45243753901374806});
}

static void ranges_one_by_one_give_the_same_bits_as_the_whole(void **state)
{
    struct server *whole = new_server(SERVER_FEDYOGI), *parts = new_server(SERVER_FEDYOGI);
    float a[N] = {1.0F, -2.0F, 0.5F}, b[N] = {1.0F, -2.0F, 0.5F};

    (void)state;
    assert_int_equal(server_step(whole, a, deltas[0]), CHOIR_OK);
    assert_int_equal(server_step_range(parts, 2, 1, b + 2, deltas[0] + 2), CHOIR_OK);
    assert_int_equal(server_step_range(parts, 0, 2, b, deltas[0]), CHOIR_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(server_step_range(parts, 2, 2, b, deltas[0]), CHOIR_ERR_FORMAT);
    server_free(whole);
    server_free(parts);
}

static void a_saved_state_goes_on_where_it_stopped(void **state)
{
    struct server *first = new_server(SERVER_FEDADAM), *second = new_server(SERVER_FEDADAM);
    float a[N] = {1.0F, -2.0F, 0.5F}, b[N];
    size_t len = server_state_len(first);
    uint8_t *bytes = malloc(len);

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(server_step(first, a, deltas[0]), CHOIR_OK);
    server_save(first, bytes);
    assert_int_equal(server_load(second, bytes, len), CHOIR_OK);
    memcpy(b, a, sizeof b);
    assert_int_equal(server_step(first, a, deltas[1]), CHOIR_OK);
    assert_int_equal(server_step(second, b, deltas[1]), CHOIR_OK);
    assert_memory_equal(a, b, sizeof a);
    server_free(first);
    server_free(second);
    free(bytes);
}

static void a_state_in_pieces_is_the_same_as_the_whole(void **state)
{
    struct server *whole = new_server(SERVER_FEDADAM), *parts = new_server(SERVER_FEDADAM);
    float a[N] = {1.0F, -2.0F, 0.5F};
    uint8_t bytes[64], piece[64];
    size_t len = server_state_len(whole);

    (void)state;
    assert_int_equal(server_step(whole, a, deltas[0]), CHOIR_OK);
    server_save(whole, bytes);
    for (size_t at = 0; at < len; at += SERVER_STATE_UNIT) {
        size_t n = len - at < SERVER_STATE_UNIT ? len - at : (size_t)SERVER_STATE_UNIT;

        server_save_part(whole, at, piece, n);
        assert_memory_equal(piece, bytes + at, n);
        assert_int_equal(server_load_part(parts, at, piece, n), CHOIR_OK);
    }
    server_save(parts, piece);
    assert_memory_equal(piece, bytes, len);

    assert_int_equal(server_load_part(parts, 0, bytes, SERVER_STATE_UNIT - 4), CHOIR_ERR_FORMAT);
    assert_int_equal(server_load_part(parts, SERVER_STATE_UNIT, bytes, len), CHOIR_ERR_FORMAT);
    bytes[len - 1] = 0x7f;
    bytes[len - 2] = 0xc0; // NaN
    assert_int_equal(server_load_part(parts, 0, bytes, len), CHOIR_ERR_FORMAT);
    bytes[4]++; // another kind
    assert_int_equal(server_load_part(parts, 0, bytes, SERVER_STATE_UNIT), CHOIR_ERR_FORMAT);
    server_free(whole);
    server_free(parts);
}

static void a_state_of_another_kind_length_or_value_is_refused(void **state)
{
    struct server *adam = new_server(SERVER_FEDADAM), *yogi = new_server(SERVER_FEDYOGI);
    uint8_t bytes[64];
    size_t len = server_state_len(adam);

    (void)state;
    assert_true(len <= sizeof bytes);
    server_save(adam, bytes);
    assert_int_equal(server_load(yogi, bytes, len), CHOIR_ERR_FORMAT);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(server_load(adam, bytes, cut), CHOIR_ERR_FORMAT);
    bytes[len - 1] = 0x7f;
    bytes[len - 2] = 0xc0; // NaN
    assert_int_equal(server_load(adam, bytes, len), CHOIR_ERR_FORMAT);
    server_free(adam);
    server_free(yogi);
}

static void a_delta_that_is_not_finite_changes_nothing(void **state)
{
    struct server *server = new_server(SERVER_FEDADAM);
    float params[N] = {1.0F, 2.0F, 3.0F}, bad[N] = {0.1F, NAN, 0.1F};
    uint8_t before[64], after[64];

    (void)state;
    server_save(server, before);
    assert_int_equal(server_step(server, params, bad), CHOIR_ERR_FORMAT);
    server_save(server, after);
    assert_memory_equal(before, after, server_state_len(server));
    assert_float_equal(params[0], 1.0F, 0.0F);
    server_free(server);
}

static void values_out_of_range_are_refused(void **state)
{
    struct server_spec spec = spec_of(SERVER_FEDADAM);
    struct server *server = NULL;

    (void)state;
    spec.beta2 = 1.0;
    assert_int_equal(server_new(&spec, N, &server), CHOIR_ERR_FORMAT);
    spec.beta2 = 0.9;
    spec.tau = 0.0;
    assert_int_equal(server_new(&spec, N, &server), CHOIR_ERR_FORMAT);
    spec.tau = 0.1;
    spec.learning_rate = (double)NAN;
    assert_int_equal(server_new(&spec, N, &server), CHOIR_ERR_FORMAT);
    server_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_follows_the_paper),
        cmocka_unit_test(ranges_one_by_one_give_the_same_bits_as_the_whole),
        cmocka_unit_test(a_saved_state_goes_on_where_it_stopped),
        cmocka_unit_test(a_state_in_pieces_is_the_same_as_the_whole),
        cmocka_unit_test(a_state_of_another_kind_length_or_value_is_refused),
        cmocka_unit_test(a_delta_that_is_not_finite_changes_nothing),
        cmocka_unit_test(values_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
