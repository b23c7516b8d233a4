#include "node/nonce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "node/membership.h"
#include "tests/node/site.h"

static struct tested tested;
static struct choir_diag diag;
static struct nonce nonce;
static char state_dir[2 * SAMPLE_PATH];
static uint8_t shown[1][ROSTER_NONCE_BYTES];

// One site on its roster, which has drawn a nonce and committed to it.
static int begin(void **state)
{
    static const uint8_t ledger_key[SIGN_PUBLIC_BYTES] = {1};

    (void)state;
    diag = (struct choir_diag){0};
    tested_begin(&tested, TESTED_POLICY);
    tested_roster(&tested, "west", now_unix(), ledger_key);
    (void)snprintf(state_dir, sizeof state_dir, "%s/state", tested.folder);
    if (mkdir(state_dir, 0700) != 0 || nonce_draw(state_dir, &nonce) != CHOIR_OK)
        return -1;
    roster_commit(tested.roster.sites[0].commitment, tested.roster.sites[0].sign_key, nonce.bytes);
    memcpy(shown[0], nonce.bytes, sizeof shown[0]);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tested_end(&tested);
    return 0;
}

static enum choir_err show(struct nonce *out)
{
    return nonce_show(state_dir, &tested.roster, &tested.roster.sites[0], out, &diag);
}

static void what_was_drawn_is_kept_for_its_owner_alone(void **state)
{
    char path[3 * SAMPLE_PATH];
    struct nonce kept;
    struct stat about;

    (void)state;
    assert_int_equal(nonce_read(state_dir, &kept), CHOIR_OK);
    assert_memory_equal(kept.bytes, nonce.bytes, sizeof kept.bytes);
    assert_false(kept.shown);
    (void)snprintf(path, sizeof path, "%s/nonce", state_dir);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(nonce_draw(state_dir, &kept), CHOIR_OK);
    assert_memory_not_equal(kept.bytes, nonce.bytes, sizeof kept.bytes);
}

static void a_nonce_is_shown_for_one_list_as_often_as_asked(void **state)
{
    struct nonce out;
    struct nonce kept;

    (void)state;
    assert_int_equal(show(&out), CHOIR_OK);
    assert_memory_equal(out.bytes, nonce.bytes, sizeof out.bytes);
    assert_int_equal(nonce_read(state_dir, &kept), CHOIR_OK);
    assert_true(kept.shown);
    assert_int_equal(show(&out), CHOIR_OK);
}

static void a_nonce_is_not_shown_for_a_second_list(void **state)
{
    struct roster_site more = tested.roster.sites[0];
    struct nonce out;
    uint32_t id;

    (void)state;
    assert_int_equal(show(&out), CHOIR_OK);
    (void)snprintf(more.name, sizeof more.name, "sybil");
    more.sign_key[0] ^= 1;
    more.curve_key[0] ^= 1;
    more.ledger_key[0] ^= 2;
    assert_int_equal(roster_add(&tested.roster, &more, &id), CHOIR_OK);
    assert_int_equal(show(&out), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "another list"));
}

static void nothing_is_shown_before_all_have_committed(void **state)
{
    struct nonce out, kept;

    (void)state;
    tested.roster.sites[0].commitment[5] ^= 1;
    assert_int_equal(show(&out), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "west.pub"));
    memset(tested.roster.sites[0].commitment, 0, HASH_BYTES);
    assert_int_equal(show(&out), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "no nonce yet"));
    assert_int_equal(nonce_read(state_dir, &kept), CHOIR_OK);
    assert_false(kept.shown);
}

static void write_roster(void)
{
    char path[2 * SAMPLE_PATH];
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof path, "%s/roster.bin", tested.folder);
    assert_int_equal(roster_sign(&tested.roster, tested.root_secret, &bytes, &len), CHOIR_OK);
    assert_int_equal(file_replace(AT_FDCWD, path, 0644, bytes, len), CHOIR_OK);
    free(bytes);
}

static void a_node_starts_only_with_the_seed_it_has_a_part_in(void **state)
{
    struct membership member = {0};
    struct nonce out;

    (void)state;
    assert_int_equal(roster_reveal(&tested.roster, shown), CHOIR_OK);
    write_roster();
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "may have been chosen"));
    assert_int_equal(show(&out), CHOIR_OK);
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_OK);
    membership_release(&member);
}

static void a_roster_with_a_site_more_than_the_seed_was_shown_for_is_refused(void **state)
{
    uint8_t two[2][ROSTER_NONCE_BYTES] = {{0}, {9}};
    struct membership member = {0};
    struct roster_site more = tested.roster.sites[0];
    struct nonce out;
    uint32_t id;

    (void)state;
    assert_int_equal(show(&out), CHOIR_OK);
    (void)snprintf(more.name, sizeof more.name, "sybil");
    more.sign_key[0] ^= 1;
    more.curve_key[0] ^= 1;
    more.ledger_key[0] ^= 2;
    roster_commit(more.commitment, more.sign_key, two[1]);
    assert_int_equal(roster_add(&tested.roster, &more, &id), CHOIR_OK);
    memcpy(two[0], out.bytes, sizeof two[0]);
    assert_int_equal(roster_reveal(&tested.roster, two), CHOIR_OK);
    write_roster();
    assert_int_equal(membership_load(tested.settings, &member, &diag), CHOIR_ERR_REFUSED);
    assert_non_null(strstr(diag.message, "another list of sites"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_drawn_is_kept_for_its_owner_alone),
        TEST(a_nonce_is_shown_for_one_list_as_often_as_asked),
        TEST(a_nonce_is_not_shown_for_a_second_list),
        TEST(nothing_is_shown_before_all_have_committed),
        TEST(a_node_starts_only_with_the_seed_it_has_a_part_in),
        TEST(a_roster_with_a_site_more_than_the_seed_was_shown_for_is_refused),
    };

    return cmocka_run_group_tests_name("nonce", tests, NULL, NULL);
}
