#include "configs/beside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_resolved(const char *config, const char *path, const char *expected)
{
    char *resolved = strdup(path);

    assert_non_null(resolved);
    assert_int_equal(beside_resolve(config, &resolved), CHOIR_OK);
    assert_string_equal(resolved, expected);
    free(resolved);
}

static void a_relative_path_is_put_beside_the_file(void **state)
{
    (void)state;
    assert_resolved("/etc/choir/site.json", "state", "/etc/choir/state");
    assert_resolved("demo/site.json", "../data/a.csv", "demo/../data/a.csv");
    assert_resolved("/site.json", "a", "/a");
    assert_resolved("site.json", "data/a.csv", "data/a.csv");
}

static void an_absolute_path_stays(void **state)
{
    (void)state;
    assert_resolved("/etc/choir/site.json", "/srv/a.csv", "/srv/a.csv");
}

static void no_path_stays_none(void **state)
{
    char *none = NULL;

    (void)state;
    assert_int_equal(beside_resolve("a/b", &none), CHOIR_OK);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relative_path_is_put_beside_the_file),
        cmocka_unit_test(an_absolute_path_stays),
        cmocka_unit_test(no_path_stays_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
