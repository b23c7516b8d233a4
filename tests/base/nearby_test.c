#include "base/nearby.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const names[] = {"rounds", "server", "sites", "learning_rate", "l2"};
static const size_t n_names = sizeof names / sizeof names[0];

static void a_misspelt_word_is_recognised(void **state)
{
    (void)state;
    assert_string_equal(nearby("round", names, n_names), "rounds");
    assert_string_equal(nearby("rouunds", names, n_names), "rounds");
    assert_string_equal(nearby("sevrer", names, n_names), "server");
    assert_string_equal(nearby("learningrate", names, n_names), "learning_rate");
    assert_string_equal(nearby("learnin_rat", names, n_names), "learning_rate");
}

static void another_word_is_not(void **state)
{
    (void)state;
    assert_null(nearby("privacy", names, n_names));
    assert_null(nearby("l3", names, n_names));
    assert_null(nearby("", names, n_names));
    assert_null(nearby("learning_rate_of_the_optimizer_that_runs_at_every_site_in_a_round", names,
                       n_names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misspelt_word_is_recognised),
        cmocka_unit_test(another_word_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
