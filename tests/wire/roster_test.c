#include "wire/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/wire/federation.h"

static struct federation federation;
static uint8_t *file;
static size_t file_len;
static char fingerprint[ROSTER_FINGERPRINT_MAX];

static int sign_one(void **state)
{
    (void)state;
    make_federation(&federation);
    roster_fingerprint(fingerprint, federation.roster.root_key);
    return roster_sign(&federation.roster, federation.root_secret, &file, &file_len) == CHOIR_OK
               ? 0
               : -1;
}

static int release(void **state)
{
    (void)state;
    free(file);
    file = NULL;
    roster_release(&federation.roster);
    return 0;
}

static void a_signed_roster_reads_back_whole(void **state)
{
    struct roster read = {0};
    uint8_t hash[HASH_BYTES];

    (void)state;
    assert_int_equal(roster_decode(file, file_len, fingerprint, &read), CHOIR_OK);
    assert_string_equal(read.name, "testers");
    assert_int_equal(read.n_sites, FEDERATION_SITES);
    assert_memory_equal(read.sites, federation.roster.sites, FEDERATION_SITES * sizeof *read.sites);
    assert_memory_equal(&read.aggregator, &federation.roster.aggregator, sizeof read.aggregator);
    assert_memory_equal(read.federation, federation.roster.federation, sizeof read.federation);
    assert_int_equal(read.expires, federation.roster.expires);
    hash_bytes(hash, file, file_len);
    assert_memory_equal(read.hash, hash, sizeof hash);
    assert_memory_equal(federation.roster.hash, hash, sizeof hash);
    roster_release(&read);
}

static void every_changed_bit_is_found(void **state)
{
    struct roster read = {0};

    (void)state;
    for (size_t i = 0; i < file_len; i++) {
        file[i] ^= (uint8_t)(1 << i % 8);
        assert_int_not_equal(roster_decode(file, file_len, fingerprint, &read), CHOIR_OK);
        file[i] ^= (uint8_t)(1 << i % 8);
    }
}

static void every_cut_is_found(void **state)
{
    struct roster read = {0};

    (void)state;
    for (size_t len = 0; len < file_len; len++)
        assert_int_not_equal(roster_decode(file, len, fingerprint, &read), CHOIR_OK);
}

static void another_root_is_not_believed(void **state)
{
    struct federation other;
    struct roster read = {0};
    uint8_t *forged = NULL;
    size_t len = 0;

    (void)state;
    make_federation(&other);
    assert_int_equal(roster_sign(&other.roster, other.root_secret, &forged, &len), CHOIR_OK);
    assert_int_equal(roster_decode(forged, len, fingerprint, &read), CHOIR_ERR_FORGED);
    assert_int_equal(roster_decode(forged, len, NULL, &read), CHOIR_OK);
    roster_release(&read);
    roster_release(&other.roster);
    free(forged);
}

static void only_the_root_key_signs(void **state)
{
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(
        roster_sign(&federation.roster, federation.aggregator.sign_secret, &bytes, &len),
        CHOIR_ERR_FORMAT);
}

static void sites_are_found_by_id_name_and_key(void **state)
{
    const struct roster *roster = &federation.roster;
    uint8_t nobody[CURVE_KEY_BYTES] = {1};

    (void)state;
    assert_ptr_equal(roster_by_id(roster, 2), &roster->sites[1]);
    assert_null(roster_by_id(roster, 0));
    assert_null(roster_by_id(roster, 4));
    assert_ptr_equal(roster_by_name(roster, "west"), &roster->sites[2]);
    assert_null(roster_by_name(roster, "east"));
    assert_ptr_equal(roster_by_curve_key(roster, roster->sites[0].curve_key), &roster->sites[0]);
    assert_null(roster_by_curve_key(roster, nobody));
    assert_ptr_equal(roster_sign_key(roster, ROSTER_AGGREGATOR), roster->aggregator.sign_key);
    assert_ptr_equal(roster_sign_key(roster, 3), roster->sites[2].sign_key);
    assert_null(roster_sign_key(roster, 9));
}

static void a_roster_has_a_first_and_a_last_second(void **state)
{
    const struct roster *roster = &federation.roster;

    (void)state;
    assert_false(roster_is_current(roster, roster->issued - 1));
    assert_true(roster_is_current(roster, roster->issued));
    assert_true(roster_is_current(roster, roster->expires - 1));
    assert_false(roster_is_current(roster, roster->expires));
}

static void names_and_keys_are_taken_once(void **state)
{
    struct roster_site site, fresh;
    struct party party;
    uint32_t id = 0;

    (void)state;
    make_site(&fresh, &party, "north");
    assert_int_equal(roster_add(&federation.roster, &fresh, &id), CHOIR_ERR_REFUSED);
    make_site(&fresh, &party, "east");
    site = fresh;
    memcpy(site.curve_key, federation.roster.sites[1].curve_key, sizeof site.curve_key);
    assert_int_equal(roster_add(&federation.roster, &site, &id), CHOIR_ERR_REFUSED);
    site = fresh;
    memcpy(site.sign_key, federation.roster.aggregator.sign_key, sizeof site.sign_key);
    assert_int_equal(roster_add(&federation.roster, &site, &id), CHOIR_ERR_REFUSED);
    site = fresh;
    memset(site.ledger_key, 0, sizeof site.ledger_key);
    assert_int_equal(roster_add(&federation.roster, &site, &id), CHOIR_ERR_FORMAT);
    assert_int_equal(roster_add(&federation.roster, &fresh, &id), CHOIR_OK);
    assert_int_equal(id, 4);
}

static void bad_names_are_refused(void **state)
{
    static const char *const bad[] = {"", "North", "a b", "a/b", "..", "a\n", "\xc3\xa4"};
    char long_name[ROSTER_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(roster_name_is_valid(bad[i]));
    memset(long_name, 'a', sizeof long_name);
    long_name[ROSTER_NAME_MAX] = '\0';
    assert_false(roster_name_is_valid(long_name));
    long_name[ROSTER_NAME_MAX - 1] = '\0';
    assert_true(roster_name_is_valid(long_name));
}

static void what_makes_no_sense_is_not_signed(void **state)
{
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct roster bad = federation.roster;

        if (i == 0)
            bad.epoch = 0;
        else if (i == 1)
            bad.expires = bad.issued;
        else if (i == 2)
            bad.c = FEDERATION_SITES;
        else if (i == 3)
            snprintf(bad.aggregator.control, sizeof bad.aggregator.control, "ipc:///tmp/x:1");
        else if (i == 4)
            snprintf(bad.name, sizeof bad.name, "Bad Name");
        else
            snprintf(bad.aggregator.bulk, sizeof bad.aggregator.bulk, "tcp://host");
        assert_int_equal(roster_sign(&bad, federation.root_secret, &bytes, &len), CHOIR_ERR_FORMAT);
    }
}

static void a_thousand_sites_fit(void **state)
{
    struct roster_site site;
    struct party party;
    struct roster read = {0};
    uint8_t *bytes = NULL;
    char name[ROSTER_NAME_MAX];
    uint32_t id = 0;
    size_t len = 0;

    (void)state;
    make_site(&site, &party, "x");
    for (uint32_t i = FEDERATION_SITES; i < ROSTER_SITES_MAX; i++) {
        snprintf(name, sizeof name, "site-%u-with-a-name-that-is-as-long-as-it-may-be-for-a-test-",
                 i);
        memcpy(site.name, name, sizeof name);
        memcpy(site.sign_key, &i, sizeof i);
        memcpy(site.curve_key, &i, sizeof i);
        memcpy(site.ledger_key, &i, sizeof i);
        assert_int_equal(roster_add(&federation.roster, &site, &id), CHOIR_OK);
    }
    assert_int_equal(id, ROSTER_SITES_MAX);
    assert_int_equal(roster_add(&federation.roster, &site, &id), CHOIR_ERR_REFUSED);
    assert_int_equal(roster_sign(&federation.roster, federation.root_secret, &bytes, &len),
                     CHOIR_OK);
    assert_int_equal(roster_decode(bytes, len, fingerprint, &read), CHOIR_OK);
    assert_int_equal(read.n_sites, ROSTER_SITES_MAX);
    roster_release(&read);
    free(bytes);
}

static void c_follows_the_design_where_nobody_states_it(void **state)
{
    (void)state;
    assert_int_equal(roster_default_c(0), 0);
    assert_int_equal(roster_default_c(4), 0);
    assert_int_equal(roster_default_c(5), 1);
    assert_int_equal(roster_default_c(7), 2);
    assert_int_equal(roster_default_c(10), 3);
}

static void a_missing_file_is_missing(void **state)
{
    struct roster read = {0};

    (void)state;
    assert_int_equal(roster_read("no/such/roster", NULL, &read), CHOIR_ERR_MISSING);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sign_one, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signed_roster_reads_back_whole),
        TEST(every_changed_bit_is_found),
        TEST(every_cut_is_found),
        TEST(another_root_is_not_believed),
        TEST(only_the_root_key_signs),
        TEST(sites_are_found_by_id_name_and_key),
        TEST(a_roster_has_a_first_and_a_last_second),
        TEST(names_and_keys_are_taken_once),
        TEST(bad_names_are_refused),
        TEST(what_makes_no_sense_is_not_signed),
        TEST(a_thousand_sites_fit),
        TEST(c_follows_the_design_where_nobody_states_it),
        TEST(a_missing_file_is_missing),
    };

    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
