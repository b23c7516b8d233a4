#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/roster.h"

static const char nonce_label[] = "CHOIR-SA1/nonce"; // labels are used without their zero
static const char list_label[] = "CHOIR-SA1/commitments";
static const char seed_label[] = "CHOIR-SA1/seed";

enum { ENTRY_BYTES = 4 + HASH_BYTES, LIST_HEAD_MAX = 64 };

void roster_commit(uint8_t commitment[static HASH_BYTES],
                   const uint8_t sign_key[static SIGN_PUBLIC_BYTES],
                   const uint8_t nonce[static ROSTER_NONCE_BYTES])
{
    uint8_t text[sizeof nonce_label - 1 + SIGN_PUBLIC_BYTES + ROSTER_NONCE_BYTES];
    uint8_t *at = put_bytes(text, nonce_label, sizeof nonce_label - 1);

    at = put_bytes(at, sign_key, SIGN_PUBLIC_BYTES);
    put_bytes(at, nonce, ROSTER_NONCE_BYTES);
    hash_bytes(commitment, text, sizeof text);
}

void roster_commitments(uint8_t hash[static HASH_BYTES], const struct roster *roster)
{
    static_assert(sizeof list_label + ROSTER_FEDERATION_BYTES <= LIST_HEAD_MAX, "room");
    uint8_t text[LIST_HEAD_MAX + ROSTER_SITES_MAX * ENTRY_BYTES];
    uint8_t *at = put_bytes(text, list_label, sizeof list_label - 1);

    at = put_bytes(at, roster->federation, sizeof roster->federation);
    for (size_t i = 0; i < roster->n_sites; i++) {
        at = put_u32(at, roster->sites[i].id);
        at = put_bytes(at, roster->sites[i].commitment, HASH_BYTES);
    }
    hash_bytes(hash, text, (size_t)(at - text));
}

static void make_seed(uint8_t seed[static HASH_BYTES], const struct roster *roster,
                      uint8_t (*nonces)[ROSTER_NONCE_BYTES])
{
    uint8_t text[LIST_HEAD_MAX + ROSTER_SITES_MAX * ENTRY_BYTES];
    uint8_t *at = put_bytes(text, seed_label, sizeof seed_label - 1);

    for (size_t i = 0; i < roster->n_sites; i++) {
        at = put_u32(at, roster->sites[i].id);
        at = put_bytes(at, nonces[i], ROSTER_NONCE_BYTES);
    }
    hash_bytes(seed, text, (size_t)(at - text));
}

void roster_cover(struct roster *roster)
{
    roster->has_seed = false;
    memset(roster->seed, 0, sizeof roster->seed);
    for (size_t i = 0; i < roster->n_sites; i++)
        memset(roster->sites[i].nonce, 0, sizeof roster->sites[i].nonce);
}

enum choir_err roster_renew(struct roster *roster, const struct roster_site *site)
{
    for (size_t i = 0; i < roster->n_sites; i++) {
        struct roster_site *found = &roster->sites[i];

        if (strcmp(found->name, site->name) != 0 ||
            memcmp(found->sign_key, site->sign_key, sizeof found->sign_key) != 0 ||
            memcmp(found->curve_key, site->curve_key, sizeof found->curve_key) != 0 ||
            memcmp(found->ledger_key, site->ledger_key, sizeof found->ledger_key) != 0)
            continue;
        if (memcmp(found->commitment, site->commitment, sizeof found->commitment) == 0)
            return CHOIR_ERR_REFUSED;
        memcpy(found->commitment, site->commitment, sizeof found->commitment);
        roster_cover(roster);
        return CHOIR_OK;
    }
    return CHOIR_ERR_MISSING;
}

enum choir_err roster_reveal(struct roster *roster, uint8_t (*nonces)[ROSTER_NONCE_BYTES])
{
    uint8_t commitment[HASH_BYTES];

    for (size_t i = 0; i < roster->n_sites; i++) {
        roster_commit(commitment, roster->sites[i].sign_key, nonces[i]);
        if (memcmp(commitment, roster->sites[i].commitment, sizeof commitment) != 0)
            return CHOIR_ERR_FORGED;
    }
    for (size_t i = 0; i < roster->n_sites; i++)
        memmove(roster->sites[i].nonce, nonces[i], ROSTER_NONCE_BYTES);
    make_seed(roster->seed, roster, nonces);
    roster->has_seed = roster->n_sites > 0;
    return CHOIR_OK;
}
