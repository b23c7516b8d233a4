#include <stdlib.h>
#include <string.h>

#include "wire/roster.h"

static const uint8_t no_key[SIGN_PUBLIC_BYTES]; // a key that was left out

// What nobody shares with another one, be it a site, a relay or the aggregator.
struct identity {
    const char *name; // the aggregator's is empty
    const uint8_t *sign_key, *curve_key;
};

static struct identity identity_of_site(const struct roster_site *site)
{
    return (struct identity){site->name, site->sign_key, site->curve_key};
}

static struct identity identity_of_relay(const struct roster_relay *relay)
{
    return (struct identity){relay->name, relay->sign_key, relay->curve_key};
}

static bool same_key(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, SIGN_PUBLIC_BYTES) == 0;
}

static bool collide(struct identity a, struct identity b)
{
    return strcmp(a.name, b.name) == 0 || same_key(a.sign_key, b.sign_key) ||
           same_key(a.curve_key, b.curve_key);
}

static bool endpoint_is_valid(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');

    if (strncmp(endpoint, "tcp://", 6) != 0 || colon < endpoint + 7 || colon[1] == '\0')
        return false;
    for (const char *at = endpoint; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return true;
}

static bool site_is_valid(const struct roster_site *site)
{
    return roster_name_is_valid(site->name) && !same_key(site->sign_key, no_key) &&
           !same_key(site->curve_key, no_key) && !same_key(site->ledger_key, no_key);
}

static bool relay_is_valid(const struct roster_relay *relay)
{
    return roster_name_is_valid(relay->name) && !same_key(relay->sign_key, no_key) &&
           !same_key(relay->curve_key, no_key) && endpoint_is_valid(relay->control) &&
           endpoint_is_valid(relay->bulk);
}

// Against the aggregator and the first members of each list.
static bool is_taken(const struct roster *roster, struct identity one, size_t n_relays,
                     size_t n_sites)
{
    const struct identity aggregator = {"", roster->aggregator.sign_key,
                                        roster->aggregator.curve_key};

    if (collide(one, aggregator))
        return true;
    for (size_t i = 0; i < n_relays; i++)
        if (collide(one, identity_of_relay(&roster->relays[i])))
            return true;
    for (size_t i = 0; i < n_sites; i++)
        if (collide(one, identity_of_site(&roster->sites[i])))
            return true;
    return false;
}

static bool ledger_key_is_taken(const struct roster *roster, const struct roster_site *site,
                                size_t n_sites)
{
    for (size_t i = 0; i < n_sites; i++)
        if (same_key(site->ledger_key, roster->sites[i].ledger_key))
            return true;
    return false;
}

static bool has_relay(const struct roster *roster, uint32_t id)
{
    return id == ROSTER_RELAY_NONE || roster_relay_by_id(roster, id) != NULL;
}

static bool relays_are_valid(const struct roster *roster)
{
    uint32_t last = ROSTER_RELAY_FIRST - 1;

    for (size_t i = 0; i < roster->n_relays; i++) {
        const struct roster_relay *relay = &roster->relays[i];

        if (relay->id <= last || !relay_is_valid(relay) ||
            is_taken(roster, identity_of_relay(relay), i, 0))
            return false;
        last = relay->id;
    }
    return true;
}

static bool sites_are_valid(const struct roster *roster)
{
    uint32_t last = ROSTER_AGGREGATOR;

    for (size_t i = 0; i < roster->n_sites; i++) {
        const struct roster_site *site = &roster->sites[i];

        if (site->id <= last || site->id >= ROSTER_RELAY_FIRST || !site_is_valid(site) ||
            !has_relay(roster, site->relay) ||
            is_taken(roster, identity_of_site(site), roster->n_relays, i) ||
            ledger_key_is_taken(roster, site, i))
            return false;
        last = site->id;
    }
    return true;
}

bool roster_is_valid(const struct roster *roster)
{
    return roster_name_is_valid(roster->name) && roster->epoch >= 1 &&
           roster->issued < roster->expires && roster->n_sites <= ROSTER_SITES_MAX &&
           roster->n_relays <= ROSTER_RELAYS_MAX &&
           (roster->n_sites == 0 || roster->c == 0 || roster->c < roster->n_sites) &&
           (roster->n_sites > 0 || !roster->has_seed) &&
           endpoint_is_valid(roster->aggregator.control) &&
           endpoint_is_valid(roster->aggregator.bulk) && relays_are_valid(roster) &&
           sites_are_valid(roster);
}

enum choir_err roster_add(struct roster *roster, const struct roster_site *site, uint32_t *id)
{
    uint32_t next = roster->n_sites == 0 ? 1 : roster->sites[roster->n_sites - 1].id + 1;
    struct roster_site *more;

    if (!site_is_valid(site))
        return CHOIR_ERR_FORMAT;
    if (roster->n_sites >= ROSTER_SITES_MAX || next >= ROSTER_RELAY_FIRST ||
        !has_relay(roster, site->relay) ||
        is_taken(roster, identity_of_site(site), roster->n_relays, roster->n_sites) ||
        ledger_key_is_taken(roster, site, roster->n_sites))
        return CHOIR_ERR_REFUSED;
    more = realloc(roster->sites, (roster->n_sites + 1) * sizeof *more);
    if (more == NULL)
        return CHOIR_ERR_MEMORY;
    roster->sites = more;
    more[roster->n_sites] = *site;
    more[roster->n_sites++].id = next;
    roster_cover(roster);
    *id = next;
    return CHOIR_OK;
}

enum choir_err roster_add_relay(struct roster *roster, const struct roster_relay *relay,
                                uint32_t *id)
{
    uint32_t next =
        roster->n_relays == 0 ? ROSTER_RELAY_FIRST : roster->relays[roster->n_relays - 1].id + 1;
    struct roster_relay *more;

    if (!relay_is_valid(relay))
        return CHOIR_ERR_FORMAT;
    if (roster->n_relays >= ROSTER_RELAYS_MAX || next == 0 ||
        is_taken(roster, identity_of_relay(relay), roster->n_relays, roster->n_sites))
        return CHOIR_ERR_REFUSED;
    more = realloc(roster->relays, (roster->n_relays + 1) * sizeof *more);
    if (more == NULL)
        return CHOIR_ERR_MEMORY;
    roster->relays = more;
    more[roster->n_relays] = *relay;
    more[roster->n_relays++].id = next;
    *id = next;
    return CHOIR_OK;
}
