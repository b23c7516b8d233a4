/* sa1_chain - one chain of the derivations of SA1, printed for sa1_golden.py: one "name hex" a
 * line. Two sites, 4 and 70000; every secret is counted up from a fixed byte, but for the shares,
 * whose polynomial is random and whose secret the script restores. */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/agree.h"
#include "crypto/mask.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"
#include "crypto/sharebox.h"

enum { BYTES = 32, I = 4, J = 70000, SEGMENT = 258, OFFSET = 16380, N = 5, THRESHOLD = 3 };

static void counted(uint8_t *to, size_t len, uint8_t first)
{
    for (size_t k = 0; k < len; k++)
        to[k] = (uint8_t)(first + k);
}

static void print(const char *name, const uint8_t *bytes, size_t len)
{
    char text[2 * 256 + 1];

    hex_put(text, bytes, len);
    printf("%s %s\n", name, text);
}

static enum choir_err print_seeds(void)
{
    enum choir_err err;
    uint8_t rho[2][BYTES], b[BYTES], secret_key[2][BYTES], public_key[2][BYTES], r[3][BYTES];
    uint8_t out[BYTES];

    counted(rho[0], BYTES, 10);
    counted(rho[1], BYTES, 20);
    counted(b, BYTES, 30);
    for (size_t k = 0; k < 3; k++)
        counted(r[k], BYTES, (uint8_t)(100 + k));
    for (size_t k = 0; k < 2; k++)
        agree_mask_key(public_key[k], secret_key[k], rho[k], r[0]);
    print("mask-sk", secret_key[0], BYTES);
    print("mask-pk", public_key[0], BYTES);
    agree_commitment(out, r[0], J, b);
    print("com", out, BYTES);
    agree_self_seed(out, b, r[2], J);
    print("self", out, BYTES);
    err = agree_pair_seed(out, secret_key[1], public_key[0], r[2], J, I);
    if (err == CHOIR_OK) {
        print("pair", out, BYTES);
        err = agree_share_key(out, secret_key[1], public_key[0], r[1], J, I);
    }
    if (err == CHOIR_OK)
        print("share", out, BYTES);
    return err;
}

static void print_box(void)
{
    uint8_t key[BYTES], r1[BYTES], pair[SHAREBOX_PAIR_BYTES], box[SHAREBOX_BYTES];

    counted(key, BYTES, 40);
    counted(r1, BYTES, 101);
    counted(pair, sizeof pair, 50);
    sharebox_seal(box, pair, key, r1, I, J);
    print("box", box, sizeof box);
}

static enum choir_err print_streams(void)
{
    enum choir_err err = CHOIR_OK;
    uint8_t seed[BYTES], stream[100], lanes[100];

    counted(seed, BYTES, 60);
    for (uint16_t suite = MASK_AES256; suite <= MASK_CHACHA20 && err == CHOIR_OK; suite++) {
        struct mask *mask = NULL;

        err = mask_open(suite, &mask);
        if (err != CHOIR_OK)
            break;
        mask_begin(mask, seed, SEGMENT);
        mask_stream(mask, OFFSET, stream, sizeof stream);
        print(suite == MASK_AES256 ? "aes-256" : "chacha20", stream, sizeof stream);
        counted(lanes, sizeof lanes, 70);
        mask_apply(mask, MASK_ADD, 32, OFFSET, lanes, sizeof lanes);
        print(suite == MASK_AES256 ? "aes-256+32" : "chacha20+32", lanes, sizeof lanes);
        counted(lanes, sizeof lanes, 70);
        mask_apply(mask, MASK_SUBTRACT, 16, OFFSET, lanes, sizeof lanes);
        print(suite == MASK_AES256 ? "aes-256-16" : "chacha20-16", lanes, sizeof lanes);
        mask_close(mask);
    }
    return err;
}

static enum choir_err print_shares(void)
{
    static const uint32_t sites[N] = {1, 2, 9, 70000, UINT32_MAX - 1};
    uint8_t secret[BYTES];
    struct shamir_share shares[N];
    enum choir_err err;

    shamir_random(secret);
    err = shamir_split(secret, THRESHOLD, sites, N, shares);
    if (err != CHOIR_OK)
        return err;
    print("secret", secret, BYTES);
    for (size_t k = 0; k < N; k++) {
        char name[32];

        (void)snprintf(name, sizeof name, "share-%lu", (unsigned long)sites[k]);
        print(name, shares[k].bytes, BYTES);
    }
    return CHOIR_OK;
}

int main(void)
{
    enum choir_err err = rng_start();

    if (err == CHOIR_OK)
        err = print_seeds();
    if (err == CHOIR_OK)
        err = print_streams();
    if (err == CHOIR_OK)
        err = print_shares();
    print_box();
    return err == CHOIR_OK ? 0 : 1;
}
