/* sa1_round - one attempt of four sites, of which one drops out after it sent its vector, printed
 * for sa1_transcript.py: "name hex" a line. Arguments: suite, lane bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/agree.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"
#include "party.h"

enum { N = 4, DROPPED = 2, THRESHOLD = 3, SURVIVORS = 0xb, PARAMETERS = 10 };

static const uint32_t ids[N] = {1, 4, 9, 700};
static struct party party;
static uint8_t total[PARTY_VECTOR_MAX];

static void must(bool good)
{
    if (!good)
        abort();
}

static void print(const char *name, size_t i, const uint8_t *bytes, size_t len)
{
    char text[2 * PARTY_BODY_MAX + 1];

    hex_put(text, bytes, len);
    printf("%s-%zu %s\n", name, i, text);
}

static void print_words(const char *name, const struct party_words *words, size_t i)
{
    print(name, i, words->body, words->len);
}

static void print_sites(void)
{
    for (size_t i = 0; i < party.n; i++) {
        const struct party_site *site = &party.site[i];

        print_words("advertise", &site->advert, i);
        print_words("shares", &site->shares, i);
        print_words("masked", &site->header, i);
        print_words("consent", &site->consent, i);
        print_words("unmask", &site->unmask, i);
        print("vector", i, site->vector, party_bytes(&party));
    }
}

// The secret of site i, out of what the survivors revealed.
static void restore(size_t i, uint8_t secret[static SHAMIR_SCALAR_BYTES])
{
    static struct message message;
    struct shamir_share shares[THRESHOLD];
    uint32_t holders[THRESHOLD];
    struct shamir_set *set = NULL;
    size_t n = 0;

    for (size_t j = 0; j < N; j++) {
        const struct party_words *words = &party.site[j].unmask;

        if ((SURVIVORS >> j & 1) == 0)
            continue;
        must(message_decode(MESSAGE_UNMASK, words->body, words->len, &message) == CHOIR_OK);
        must(message.unmask.n == N && message.unmask.share[i].of == ids[i]);
        holders[n] = ids[j];
        memcpy(shares[n++].bytes, message.unmask.share[i].bytes, SHAMIR_SCALAR_BYTES);
    }
    must(shamir_set_new(holders, n, THRESHOLD, &set) == CHOIR_OK);
    must(shamir_combine(set, shares, secret) == CHOIR_OK);
    shamir_set_free(set);
    print("secret", i, secret, SHAMIR_SCALAR_BYTES);
}

static void take_off(enum mask_sign sign, const uint8_t *seed)
{
    struct mask *worker = NULL;

    must(mask_open(party.suite, &worker) == CHOIR_OK);
    mask_begin(worker, seed, 0);
    mask_apply(worker, sign, party.lane_bits, 0, total, party_bytes(&party));
    mask_close(worker);
}

// The pair masks of a site that dropped, as they stand in the others' vectors.
static void take_off_pairs(const uint8_t *rho)
{
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES], seed[AGREE_SECRET_BYTES];
    static struct message message;

    agree_mask_key(public_key, secret_key, rho, party.r[0]);
    for (size_t i = 0; i < N; i++) {
        const struct party_words *words = &party.site[i].advert;

        if (i == DROPPED)
            continue;
        must(message_decode(MESSAGE_ADVERTISE, words->body, words->len, &message) == CHOIR_OK);
        must(agree_pair_seed(seed, secret_key, message.advertise.mask_key, party.r[2], ids[DROPPED],
                             ids[i]) == CHOIR_OK);
        take_off(i < DROPPED ? MASK_SUBTRACT : MASK_ADD, seed);
    }
}

static void add(const uint8_t *part)
{
    size_t width = party.lane_bits / 8;

    for (size_t at = 0; at < party_bytes(&party); at += width)
        for (size_t k = 0, carry = 0; k < width; k++, carry >>= 8) {
            carry += (size_t)total[at + k] + part[at + k];
            total[at + k] = (uint8_t)carry;
        }
}

static void print_sum(void)
{
    uint8_t secret[SHAMIR_SCALAR_BYTES], seed[AGREE_SECRET_BYTES];

    for (size_t i = 0; i < N; i++) {
        restore(i, secret);
        if (i == DROPPED) {
            take_off_pairs(secret);
            continue;
        }
        agree_self_seed(seed, secret, party.r[2], ids[i]);
        take_off(MASK_SUBTRACT, seed);
        add(party.site[i].vector);
    }
    print("sum", 0, total, party_bytes(&party));
}

int main(int argc, char **argv)
{
    if (argc != 3 || rng_start() != CHOIR_OK)
        return 2;
    party = (struct party){.suite = (uint16_t)strtoul(argv[1], NULL, 10),
                           .lane_bits = (uint16_t)strtoul(argv[2], NULL, 10),
                           .n_parameters = PARAMETERS,
                           .threshold = THRESHOLD,
                           .minimum = THRESHOLD};
    party_begin(&party, ids, N);
    party_open(&party);
    party_adverts(&party, PARTY_ALL, PARTY_ALL);
    party_shares_all(&party, PARTY_ALL, PARTY_ALL);
    party_survivors(&party, SURVIVORS, SURVIVORS);
    party_consents(&party, SURVIVORS, SURVIVORS);
    for (size_t k = 0; k < 4; k++)
        print("R", k, party.r[k], HASH_BYTES);
    print_sites();
    print_sum();
    party_end(&party);
    return 0;
}
