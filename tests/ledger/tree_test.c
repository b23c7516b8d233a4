#include "ledger/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/merkle.h"

static void the_root_is_that_of_the_whole_list_at_every_size(void **state)
{
    enum { LEAVES = 70 };
    uint8_t leaves[LEAVES][HASH_BYTES];
    struct tree tree = {0};
    uint8_t grown[HASH_BYTES], whole[HASH_BYTES];

    (void)state;
    for (size_t n = 0; n < LEAVES; n++) {
        uint8_t leaf = (uint8_t)n;

        tree_root(&tree, grown);
        merkle_root(whole, (const uint8_t(*)[HASH_BYTES])leaves, n);
        assert_memory_equal(grown, whole, HASH_BYTES);
        merkle_leaf(leaves[n], &leaf, 1);
        tree_push(&tree, leaves[n]);
    }
    assert_int_equal(tree.size, LEAVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_is_that_of_the_whole_list_at_every_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
