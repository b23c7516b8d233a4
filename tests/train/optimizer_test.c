#include "train/optimizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/train/near.h"

enum { N = 3 };

static const float grads[2][N] = {{0.5F, -1.0F, 0.0F}, {0.25F, 3.0F, -0.1F}};

static void take_two_steps(enum optimizer_kind kind, float *params, bool twice)
{
    struct optimizer_spec spec = {.kind = kind,
                                  .learning_rate = 0.1,
                                  .momentum = 0.9,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .epsilon = 1e-8};
    struct optimizer optimizer;
    static const float start[N] = {1.0F, -2.0F, 0.5F};

    assert_int_equal(optimizer_init(&optimizer, &spec, N), CHOIR_OK);
    for (int i = 0; i < (twice ? 2 : 1); i++) {
        optimizer_clear(&optimizer);
        memcpy(params, start, sizeof start);
        optimizer_step(&optimizer, params, grads[0]);
        optimizer_step(&optimizer, params, grads[1]);
    }
    optimizer_release(&optimizer);
}

static void expect(enum optimizer_kind kind, const double *expected)
{
    float params[N];

    take_two_steps(kind, params, false);
    assert_true(are_near(params, expected, N, 1e-6));
}

// Expected values by a separate calculation in double precision.
static void each_kind_takes_the_published_step(void **state)
{
    (void)state;
    expect(OPTIMIZER_SGD, (const double[]){0.925, -2.2, 0.51});
    expect(OPTIMIZER_MOMENTUM, (const double[]){0.88, -2.11, 0.51});
    expect(OPTIMIZER_ADAM,
           (const double[]){0.8067820404774624, -1.9494189841087441, 0.5744136718356471});
}

static void a_cleared_optimizer_remembers_nothing(void **state)
{
    float once[N], again[N];

    (void)state;
    take_two_steps(OPTIMIZER_ADAM, once, false);
    take_two_steps(OPTIMIZER_ADAM, again, true);
    assert_memory_equal(once, again, sizeof once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_takes_the_published_step),
        cmocka_unit_test(a_cleared_optimizer_remembers_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
