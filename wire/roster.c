#include "wire/roster.h"

#include <stdlib.h>
#include <string.h>

bool roster_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

    return len > 0 && len < ROSTER_NAME_MAX && name[len] == '\0';
}

static bool same_key(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, SIGN_PUBLIC_BYTES) == 0;
}

void roster_release(struct roster *roster)
{
    free(roster->sites);
    free(roster->relays);
    memset(roster, 0, sizeof *roster);
}

enum choir_err roster_copy(const struct roster *from, struct roster *out)
{
    struct roster copy = *from;

    copy.sites = NULL;
    copy.relays = NULL;
    if (from->n_sites > 0) {
        copy.sites = calloc(from->n_sites, sizeof *copy.sites);
        if (copy.sites == NULL)
            goto out;
        memcpy(copy.sites, from->sites, from->n_sites * sizeof *copy.sites);
    }
    if (from->n_relays > 0) {
        copy.relays = calloc(from->n_relays, sizeof *copy.relays);
        if (copy.relays == NULL)
            goto out;
        memcpy(copy.relays, from->relays, from->n_relays * sizeof *copy.relays);
    }
    *out = copy;
    return CHOIR_OK;
out:
    free(copy.sites);
    return CHOIR_ERR_MEMORY;
}

bool roster_is_current(const struct roster *roster, uint64_t now_unix_s)
{
    return roster->issued <= now_unix_s && now_unix_s < roster->expires;
}

const struct roster_site *roster_by_id(const struct roster *roster, uint32_t id)
{
    size_t low = 0, high = roster->n_sites;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (roster->sites[middle].id == id)
            return &roster->sites[middle];
        if (roster->sites[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct roster_site *roster_by_name(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->n_sites; i++)
        if (strcmp(roster->sites[i].name, name) == 0)
            return &roster->sites[i];
    return NULL;
}

const struct roster_site *roster_by_curve_key(const struct roster *roster,
                                              const uint8_t curve_key[static CURVE_KEY_BYTES])
{
    for (size_t i = 0; i < roster->n_sites; i++)
        if (same_key(roster->sites[i].curve_key, curve_key))
            return &roster->sites[i];
    return NULL;
}

const struct roster_relay *roster_relay_by_id(const struct roster *roster, uint32_t id)
{
    for (size_t i = 0; i < roster->n_relays; i++)
        if (roster->relays[i].id == id)
            return &roster->relays[i];
    return NULL;
}

const struct roster_relay *roster_relay_by_name(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->n_relays; i++)
        if (strcmp(roster->relays[i].name, name) == 0)
            return &roster->relays[i];
    return NULL;
}

const struct roster_relay *roster_relay_by_curve_key(
    const struct roster *roster, const uint8_t curve_key[static CURVE_KEY_BYTES])
{
    for (size_t i = 0; i < roster->n_relays; i++)
        if (same_key(roster->relays[i].curve_key, curve_key))
            return &roster->relays[i];
    return NULL;
}

const uint8_t *roster_sign_key(const struct roster *roster, uint32_t sender)
{
    const struct roster_site *site = roster_by_id(roster, sender);
    const struct roster_relay *relay = roster_relay_by_id(roster, sender);

    if (sender == ROSTER_AGGREGATOR)
        return roster->aggregator.sign_key;
    if (relay != NULL)
        return relay->sign_key;
    return site == NULL ? NULL : site->sign_key;
}

uint32_t roster_default_c(size_t n_sites)
{
    return n_sites <= 4 ? 0 : (uint32_t)((n_sites - 1) / 3);
}
