/* Letters of relays, as they are and with a good signature put behind them; and frames. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/rng.h"
#include "wire/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void open_signed(const uint8_t *data, size_t len, const struct roster *roster,
                        const uint8_t *secret_key, struct relay_letter *letter)
{
    static const char context[] = "CHOIR-RELAY";
    static uint8_t message[sizeof context + RELAY_LETTER_MAX], again[RELAY_LETTER_MAX];
    uint8_t *at = put_bytes(message, context, sizeof context);
    size_t again_len = 0;

    if (len > RELAY_LETTER_MAX - SIGN_BYTES)
        return;
    at = put_bytes(at, data, len);
    sign_make(at, message, sizeof context + len, secret_key);
    if (relay_open(message + sizeof context, len + SIGN_BYTES, roster, letter) != CHOIR_OK)
        return;
    // What was read is written again, byte for byte.
    if (relay_seal(letter, secret_key, again, &again_len) != CHOIR_OK ||
        again_len != len + SIGN_BYTES || memcmp(again, data, len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t seed[SIGN_SEED_BYTES] = {1};
    static struct relay_letter letter;
    static struct site_set to;
    uint8_t secret_key[SIGN_SECRET_BYTES];
    struct roster_relay relay = {.id = ROSTER_RELAY_FIRST, .name = "harbour"};
    struct roster roster = {.epoch = 1, .n_relays = 1, .relays = &relay};
    const uint8_t *bytes = NULL;
    size_t inside = 0;

    if (rng_start() != CHOIR_OK)
        return 0;
    sign_keypair_from_seed(relay.sign_key, secret_key, seed);
    memcpy(roster.aggregator.sign_key, relay.sign_key, SIGN_PUBLIC_BYTES);
    (void)!relay_open(data, len, &roster, &letter);
    open_signed(data, len, &roster, secret_key, &letter);
    if (relay_frame_open(data, len, &to, &bytes, &inside) == CHOIR_OK &&
        (to.n < 1 || bytes + inside != data + len))
        abort();
    return 0;
}
