#include "ledger/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];

static struct head signed_head(void)
{
    static const uint8_t seed[SIGN_SEED_BYTES] = {1};
    struct head head = {.size = 7};

    sign_keypair_from_seed(public_key, secret_key, seed);
    memset(head.root, 0xaa, sizeof head.root);
    head_sign(&head, ENTRY_SCOPE_LEDGER, public_key, secret_key);
    return head;
}

static void a_signed_head_is_good(void **state)
{
    struct head head = signed_head();

    (void)state;
    assert_int_equal(head_check(&head, ENTRY_SCOPE_LEDGER, public_key), CHOIR_OK);
}

static void another_size_root_scope_or_key_is_found(void **state)
{
    struct head size = signed_head(), root = signed_head(), other = signed_head();
    uint8_t key[SIGN_PUBLIC_BYTES], secret[SIGN_SECRET_BYTES];

    (void)state;
    size.size++;
    root.root[31] ^= 1;
    sign_keypair(key, secret);
    assert_int_equal(head_check(&size, ENTRY_SCOPE_LEDGER, public_key), CHOIR_ERR_FORGED);
    assert_int_equal(head_check(&root, ENTRY_SCOPE_LEDGER, public_key), CHOIR_ERR_FORGED);
    assert_int_equal(head_check(&other, ENTRY_SCOPE_LOG, public_key), CHOIR_ERR_FORGED);
    assert_int_equal(head_check(&other, ENTRY_SCOPE_LEDGER, key), CHOIR_ERR_FORGED);
}

static void the_note_names_origin_size_and_root(void **state)
{
    struct head head = signed_head();
    char note[HEAD_NOTE_MAX];

    (void)state;
    head_note(note, &head, ENTRY_SCOPE_LEDGER, public_key);
    assert_int_equal(strncmp(note, "choir/ledger/", 13), 0);
    assert_non_null(strstr(note, "\n7\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n"));
    assert_non_null(strstr(note, "\n\xe2\x80\x94 choir/ledger/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_head_is_good),
        cmocka_unit_test(another_size_root_scope_or_key_is_found),
        cmocka_unit_test(the_note_names_origin_size_and_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
