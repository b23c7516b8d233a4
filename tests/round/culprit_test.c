/* What sites that misbehave do to a round: somebody is named or the attempt ends cleanly, and the
 * sum of the others is exact where the round goes on. Six sites, c = 1: T = 4, U_min = 4. Site 6 is
 * the one that misbehaves; where that takes secrets of its own it is an accomplice of the test,
 * else an honest machine whose letters are changed on their way.
 *
 * A chunk that is longer than announced, or another, ends on the bulk link:
 * tests/wire/transfer_test.c, another_shape_than_announced_is_refused; a letter whose signature is
 * wrong is nobody's: tests/wire/envelope_test.c, every_changed_bit_and_every_cut_is_found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "court.h"

enum { N = 6, CULPRIT = 6 };

static struct message message;
static size_t n_times;            // that the culprit has misbehaved
static enum message_kind doubled; // what the culprit says twice

static void begin(uint32_t n_honest)
{
    const struct cheat_terms terms = {
        .n = N, .n_honest = n_honest, .collusion = 1, .suite = MASK_AES256, .cohort = 2};

    n_times = 0;
    court_begin(&terms);
}

// Site 6 runs the machine of an honest site.
static int machine(void **state)
{
    (void)state;
    begin(N);
    return 0;
}

static int accomplice(void **state)
{
    (void)state;
    begin(N - 1);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    court_end();
    return 0;
}

static bool is_from_culprit(const struct spoken *letter, enum message_kind kind)
{
    return letter->who == CULPRIT && letter->kind == kind;
}

static void open_letter(const struct spoken *letter)
{
    if (message_decode((uint16_t)letter->kind, letter->body, letter->len, &message) != CHOIR_OK)
        abort();
}

static void close_letter(struct spoken *letter)
{
    if (message_encode(&message, letter->body, BODY_BYTES, &letter->len) != CHOIR_OK)
        abort();
    cheat_sign(letter);
    n_times++;
}

// The sum came about, of these sites, and is theirs.
static void assert_exact(size_t n_sites, bool with_culprit)
{
    assert_true(court.closed);
    assert_int_equal(court.u.n, n_sites);
    assert_int_equal(site_set_has(&court.u, CULPRIT), with_culprit);
    assert_true(court_sum_is_exact());
}

static void everybody_behaves(void **state)
{
    (void)state;
    court_play();
    assert_exact(N, true);
    assert_int_equal(court.attempts, 1);
}

static size_t spoil_boxes(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_SHARES) || n_times > 0)
        return 1;
    open_letter(letter);
    message.shares.cipher[0].bytes[0] ^= 1; // for site 1
    message.shares.cipher[1].bytes[5] ^= 1; // for site 2
    close_letter(letter);
    return 1;
}

static void boxes_that_do_not_open_name_their_dealer(void **state)
{
    (void)state;
    court.tamper = spoil_boxes;
    court_play();
    assert_true(court_named(1, MESSAGE_CODE_SHARE)); // its complaint
    assert_true(court.suspended[CULPRIT]);
    assert_false(court.suspended[1]);
    assert_exact(N - 1, false);
}

static size_t spoil_one_box(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_SHARES) || n_times > 0)
        return 1;
    open_letter(letter);
    message.shares.cipher[2].bytes[79] ^= 1;
    close_letter(letter);
    return 1;
}

// One word against another: nobody is suspended, and the round goes on without site 3.
static void one_box_that_does_not_open_costs_its_receiver_the_attempt(void **state)
{
    (void)state;
    court.tamper = spoil_one_box;
    court_play();
    assert_true(court_named(3, MESSAGE_CODE_SHARE));
    assert_false(court.suspended[CULPRIT]);
    assert_false(court.suspended[3]);
    assert_exact(N - 1, true);
}

// `message` as one more letter of the culprit, behind `letter`.
static void add_letter(const struct spoken *letter)
{
    struct spoken *another = &cheat.spoken[cheat.n_spoken];

    if (cheat.n_spoken++ == SPOKEN_MAX)
        abort();
    *another = *letter;
    another->kind = message.kind;
    close_letter(another);
}

static void write_accusation(uint32_t about)
{
    memset(&message, 0, sizeof message);
    message.kind = MESSAGE_REFUSE;
    message.refuse.of = MESSAGE_SHARES_ALL;
    message.refuse.code = MESSAGE_CODE_SHARE;
    message.refuse.about = about;
}

// Instead of sending its header the culprit says that the boxes of two others do not open.
static size_t accuse_falsely(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_MASKED) || n_times > 0)
        return letter->who == CULPRIT && n_times > 1 && letter->kind == MESSAGE_MASKED ? 0 : 1;
    write_accusation(1);
    letter->kind = MESSAGE_REFUSE;
    close_letter(letter);
    write_accusation(2);
    add_letter(letter);
    return 1;
}

// The last to send anything: the others wait for it.
static void who_accuses_more_sites_than_can_lie_is_suspended(void **state)
{
    (void)state;
    court.keeps_vector[5] = true; // the phase does not end between the two accusations
    court.tamper = accuse_falsely;
    court_play();
    assert_true(court.suspended[CULPRIT]);
    assert_false(court.suspended[1]);
    assert_false(court.suspended[2]);
    assert_exact(N - 2, false);
}

static size_t falsify_shares(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_UNMASK))
        return 1;
    open_letter(letter);
    message.unmask.share[0].bytes[0] ^= 1;
    message.unmask.share[3].bytes[0] ^= 1;
    close_letter(letter);
    return 1;
}

// The answers of sites 4 and 5 are lost at first, so that the culprit's is among the first four.
static size_t falsify_shares_early(struct spoken *letter)
{
    if (letter->kind == MESSAGE_UNMASK && (letter->who == 4 || letter->who == 5) && n_times == 0)
        return 0;
    return falsify_shares(letter);
}

static void a_wrong_share_names_its_holder_and_the_sum_is_exact(void **state)
{
    (void)state;
    court.tamper = falsify_shares_early;
    court_play();
    assert_true(court_named(CULPRIT, MESSAGE_CODE_SHARE));
    assert_exact(N, true);
}

static size_t falsify_the_last_shares(struct spoken *letter)
{
    if (letter->kind == MESSAGE_UNMASK && (letter->who == 4 || letter->who == 5))
        return 0;
    return falsify_shares(letter);
}

static void a_wrong_share_that_no_other_replaces_loses_the_round(void **state)
{
    (void)state;
    court.tamper = falsify_the_last_shares;
    court_play();
    assert_true(court.lost);
    assert_int_equal(court.n_merged, 0);
    assert_true(court_named(1, MESSAGE_CODE_SHARE)); // whose secret could not be restored
}

static size_t break_commitment(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_ADVERTISE))
        return 1;
    open_letter(letter);
    message.advertise.commitment[0] ^= 1;
    close_letter(letter);
    *cheat_find(&court.view, CULPRIT, MESSAGE_ADVERTISE, NULL) = *letter;
    return 1;
}

static void a_secret_other_than_the_committed_one_names_its_dealer(void **state)
{
    (void)state;
    court.tamper = break_commitment;
    court_play();
    assert_true(court.lost);
    assert_int_equal(court.n_merged, 0);
    assert_true(court_named(CULPRIT, MESSAGE_CODE_SHARE));
    assert_true(court.suspended[CULPRIT]);
}

static size_t break_mask_key(struct spoken *letter)
{
    uint8_t secret_key[CURVE_KEY_BYTES];

    if (!is_from_culprit(letter, MESSAGE_ADVERTISE))
        return 1;
    open_letter(letter);
    curve_keypair(message.advertise.mask_key, secret_key);
    close_letter(letter);
    *cheat_find(&court.view, CULPRIT, MESSAGE_ADVERTISE, NULL) = *letter;
    return 1;
}

// It shares and then vanishes: its mask key would have to be restored, and cannot be.
static void a_mask_key_without_its_secret_names_its_dealer(void **state)
{
    (void)state;
    court.silent_after = MESSAGE_SHARES;
    court.tamper = break_mask_key;
    court_play();
    assert_true(court.lost);
    assert_true(court_named(CULPRIT, MESSAGE_CODE_SHARE));
    assert_true(court.suspended[CULPRIT]);
}

static size_t lengthen(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_MASKED))
        return 1;
    open_letter(letter);
    message.masked.bytes += 4;
    close_letter(letter);
    return 1;
}

static void a_vector_of_the_wrong_length_is_left_out_by_name(void **state)
{
    (void)state;
    court.tamper = lengthen;
    court_play();
    assert_true(court.suspended[CULPRIT]);
    assert_exact(N - 1, false);
}

// The letter as it is, and then another one of the same kind.
static size_t equivocate(struct spoken *letter)
{
    if (letter->who != CULPRIT || letter->kind != doubled || n_times > 0)
        return 1;
    open_letter(letter);
    if (letter->kind == MESSAGE_ADVERTISE)
        message.advertise.commitment[0] ^= 1;
    else if (letter->kind == MESSAGE_SHARES)
        message.shares.cipher[0].bytes[0] ^= 1;
    else
        message.masked.root[0] ^= 1;
    add_letter(letter);
    return 1;
}

static void two_different_letters_where_one_is_allowed_suspend_their_sender(void **state)
{
    static const enum message_kind kinds[] = {MESSAGE_ADVERTISE, MESSAGE_SHARES, MESSAGE_MASKED};

    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        begin(N);
        doubled = kinds[k];
        court.tamper = equivocate;
        court_play();
        assert_true(court_named(CULPRIT, MESSAGE_CODE_EQUIVOCATION));
        assert_true(court.suspended[CULPRIT]);
        assert_exact(N - 1, false);
        if (k + 1 < sizeof kinds / sizeof kinds[0])
            court_end();
    }
}

static size_t repeat(struct spoken *letter)
{
    return letter->who == CULPRIT ? 3 : 1;
}

static void letters_and_uploads_that_come_again_count_once(void **state)
{
    (void)state;
    court.tamper = repeat;
    court.uploads = 3;
    court_play();
    assert_exact(N, true);
    assert_int_equal(court.attempts, 1);
}

static size_t delay_header(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_MASKED))
        return 1;
    n_times++;
    return site_set_has(&court.view.u, 1) ? 1 : 0; // not before the survivors are known
}

static void a_vector_after_the_dropout_is_not_added(void **state)
{
    (void)state;
    court.tamper = delay_header;
    court_play();
    assert_true(n_times > 1); // it came, in the end
    assert_exact(N - 1, false);
}

static size_t address_stranger(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_SHARES))
        return 1;
    open_letter(letter);
    message.shares.cipher[message.shares.n++].to = 9;
    close_letter(letter);
    return 1;
}

static void a_share_for_a_stranger_suspends_its_dealer(void **state)
{
    (void)state;
    court.tamper = address_stranger;
    court_play();
    assert_true(court_named(CULPRIT, MESSAGE_CODE_FORMAT));
    assert_true(court.suspended[CULPRIT]);
    assert_exact(N - 1, false);
}

static size_t forget_one(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_SHARES))
        return 1;
    open_letter(letter);
    message.shares.n--;
    close_letter(letter);
    return 1;
}

static void a_bundle_without_a_share_suspends_its_dealer(void **state)
{
    (void)state;
    court.tamper = forget_one;
    court_play();
    assert_true(court.suspended[CULPRIT]);
    assert_exact(N - 1, false);
}

static size_t reveal_the_other_kind(struct spoken *letter)
{
    if (letter->kind == MESSAGE_UNMASK && letter->who >= 4 && letter->who < CULPRIT && n_times == 0)
        return 0; // so that the culprit's is among the first four
    if (!is_from_culprit(letter, MESSAGE_UNMASK))
        return 1;
    open_letter(letter);
    message.unmask.share[0].of_mask_key = !message.unmask.share[0].of_mask_key;
    close_letter(letter);
    return 1;
}

static void a_share_of_the_wrong_kind_suspends_its_holder_and_is_not_used(void **state)
{
    (void)state;
    court.tamper = reveal_the_other_kind;
    court_play();
    assert_true(court.suspended[CULPRIT]);
    assert_exact(N, true); // its vector was in the sum already, and others have its shares
}

static size_t break_signature(struct spoken *letter)
{
    if (letter->who == CULPRIT && letter->kind == MESSAGE_MASKED)
        letter->signed_bytes[letter->signed_len - 1] ^= 1;
    return 1;
}

static void a_letter_with_a_wrong_signature_is_nobodys(void **state)
{
    (void)state;
    court.tamper = break_signature;
    court_play();
    assert_false(court.suspended[CULPRIT]);
    assert_exact(N - 1, false);
}

static size_t copy_keys(struct spoken *letter)
{
    static uint8_t mask_key[CURVE_KEY_BYTES];

    if (letter->kind != MESSAGE_ADVERTISE)
        return 1;
    open_letter(letter);
    if (letter->who == 1)
        memcpy(mask_key, message.advertise.mask_key, sizeof mask_key);
    if (letter->who != CULPRIT)
        return 1;
    memcpy(message.advertise.mask_key, mask_key, sizeof mask_key);
    close_letter(letter);
    return 1;
}

static void keys_of_another_site_do_not_get_into_the_list(void **state)
{
    (void)state;
    court.tamper = copy_keys;
    court_play();
    assert_true(court_named(CULPRIT, MESSAGE_CODE_EQUIVOCATION));
    assert_exact(N - 1, false);
}

static size_t consent_to_nothing(struct spoken *letter)
{
    if (!is_from_culprit(letter, MESSAGE_CONSENT))
        return 1;
    open_letter(letter);
    message.consent.r3[0] ^= 1;
    close_letter(letter);
    return 1;
}

static void a_consent_to_another_set_is_not_passed_on(void **state)
{
    (void)state;
    court.tamper = consent_to_nothing;
    court_play();
    assert_true(court.closed);
    assert_true(court_sum_is_exact());
}

#define TEST(f)            cmocka_unit_test_setup_teardown(f, machine, leave)
#define ACCOMPLICE_TEST(f) cmocka_unit_test_setup_teardown(f, accomplice, leave)
#define FRESH_TEST(f)      cmocka_unit_test_teardown(f, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everybody_behaves),
        ACCOMPLICE_TEST(boxes_that_do_not_open_name_their_dealer),
        ACCOMPLICE_TEST(one_box_that_does_not_open_costs_its_receiver_the_attempt),
        TEST(who_accuses_more_sites_than_can_lie_is_suspended),
        TEST(a_wrong_share_names_its_holder_and_the_sum_is_exact),
        TEST(a_wrong_share_that_no_other_replaces_loses_the_round),
        ACCOMPLICE_TEST(a_secret_other_than_the_committed_one_names_its_dealer),
        ACCOMPLICE_TEST(a_mask_key_without_its_secret_names_its_dealer),
        TEST(a_vector_of_the_wrong_length_is_left_out_by_name),
        FRESH_TEST(two_different_letters_where_one_is_allowed_suspend_their_sender),
        TEST(letters_and_uploads_that_come_again_count_once),
        TEST(a_vector_after_the_dropout_is_not_added),
        TEST(a_share_for_a_stranger_suspends_its_dealer),
        TEST(a_bundle_without_a_share_suspends_its_dealer),
        TEST(a_share_of_the_wrong_kind_suspends_its_holder_and_is_not_used),
        TEST(a_letter_with_a_wrong_signature_is_nobodys),
        TEST(keys_of_another_site_do_not_get_into_the_list),
        TEST(a_consent_to_another_set_is_not_passed_on),
    };

    return cmocka_run_group_tests_name("culprit", tests, NULL, NULL);
}
