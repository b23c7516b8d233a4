/* Four sites with masks, between which everything is passed on in any order, selection and with any
 * byte changed: no machine fails, none reveals without having stored that it does, and none ever
 * says two shares of one site in one attempt.
 *
 * The input: suite u8, then steps of five bytes: what to do, two sets of sites (bits), and a place
 * and a value for changes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/rng.h"
#include "tests/round/party.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { N = 4, ALL = 15, STEPS_MAX = 60, ATTEMPTS_MAX = 3 };

static struct party party;
static uint8_t revealed_as[N][N]; // 0: not; else 1 + of_mask_key

static void look_at(size_t i)
{
    static struct message message;
    const struct party_site *site = &party.site[i];

    if (site->unmask.len == 0)
        return;
    if (!site->revealed ||
        message_decode(MESSAGE_UNMASK, site->unmask.body, site->unmask.len, &message) != CHOIR_OK)
        abort();
    for (size_t k = 0; k < message.unmask.n; k++)
        for (size_t j = 0; j < N; j++) {
            uint8_t as = message.unmask.share[k].of_mask_key ? 2 : 1;

            if (message.unmask.share[k].of != party.site[j].id)
                continue;
            if (revealed_as[i][j] != 0 && revealed_as[i][j] != as)
                abort();
            revealed_as[i][j] = as;
        }
}

static void spoil(uint8_t who, uint8_t what, uint8_t at, uint8_t value)
{
    struct party_site *site = &party.site[who % N];
    struct party_words *words[] = {&site->advert, &site->shares, &site->header, &site->consent};
    struct party_words *chosen = words[what % 4];

    if (chosen->len > 0)
        chosen->body[at % chosen->len] ^= value;
}

static void step(const uint8_t *bytes)
{
    uint8_t sites = bytes[1] & ALL, receivers = bytes[2] & ALL;

    if (sites == 0)
        sites = ALL;
    switch (bytes[0] % 8) {
    case 0:
        party_open(&party);
        break;
    case 1:
        party_adverts(&party, sites, receivers);
        break;
    case 2:
        party_shares_all(&party, sites, receivers);
        break;
    case 3:
        party_survivors(&party, sites, receivers);
        break;
    case 4:
        party_consents(&party, sites, receivers);
        break;
    case 5:
        spoil(bytes[1], bytes[2], bytes[3], bytes[4]);
        break;
    case 6:
        if (party.attempt < ATTEMPTS_MAX)
            party.attempt++;
        break;
    default:
        party_happens(&party, bytes[1] % N, (struct site_event){.kind = SITE_LINK_UP});
    }
    for (size_t i = 0; i < N; i++)
        look_at(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint32_t ids[N] = {1, 4, 9, 700};
    struct view view = view_over(data, len);
    uint8_t bytes[5];

    if (rng_start() != CHOIR_OK)
        return 0;
    party = (struct party){.suite = view_u8(&view) % 3,
                           .lane_bits = 32,
                           .n_parameters = 10,
                           .threshold = 3,
                           .minimum = 3};
    memset(revealed_as, 0, sizeof revealed_as);
    party_begin(&party, ids, N);
    for (size_t i = 0; i < STEPS_MAX && view.left >= sizeof bytes; i++) {
        view_bytes(&view, bytes, sizeof bytes);
        step(bytes);
    }
    party_end(&party);
    return 0;
}
