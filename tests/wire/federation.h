/* federation - a small roster with all its secret keys, for tests of wire/. */
#ifndef CHOIR_TESTS_WIRE_FEDERATION_H
#define CHOIR_TESTS_WIRE_FEDERATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/now.h"
#include "crypto/curve.h"
#include "crypto/rng.h"
#include "crypto/sign.h"
#include "wire/roster.h"

enum { FEDERATION_SITES = 3 };

struct party {
    uint8_t sign_secret[SIGN_SECRET_BYTES];
    uint8_t curve_secret[CURVE_KEY_BYTES];
};

struct federation {
    struct roster roster;
    uint8_t root_secret[SIGN_SECRET_BYTES];
    struct party aggregator, site[FEDERATION_SITES]; // site[i] has the id i + 1
};

static inline void make_site(struct roster_site *site, struct party *party, const char *name)
{
    uint8_t ledger_secret[SIGN_SECRET_BYTES];

    memset(site, 0, sizeof *site);
    snprintf(site->name, sizeof site->name, "%s", name);
    sign_keypair(site->sign_key, party->sign_secret);
    curve_keypair(site->curve_key, party->curve_secret);
    sign_keypair(site->ledger_key, ledger_secret);
}

static inline void make_federation(struct federation *federation)
{
    static const char *const names[FEDERATION_SITES] = {"north", "south", "west"};
    struct roster *roster = &federation->roster;
    uint8_t operator_secret[SIGN_SECRET_BYTES];

    assert_int_equal(rng_start(), CHOIR_OK);
    memset(federation, 0, sizeof *federation);
    rng_bytes(roster->federation, sizeof roster->federation);
    snprintf(roster->name, sizeof roster->name, "testers");
    roster->epoch = 1;
    roster->issued = now_unix() - 60;
    roster->expires = now_unix() + 3600;
    sign_keypair(roster->root_key, federation->root_secret);
    sign_keypair(roster->operator_key, operator_secret);
    sign_keypair(roster->aggregator.sign_key, federation->aggregator.sign_secret);
    curve_keypair(roster->aggregator.curve_key, federation->aggregator.curve_secret);
    snprintf(roster->aggregator.control, ROSTER_ENDPOINT_MAX, "tcp://127.0.0.1:7101");
    snprintf(roster->aggregator.bulk, ROSTER_ENDPOINT_MAX, "tcp://127.0.0.1:7102");
    for (size_t i = 0; i < FEDERATION_SITES; i++) {
        struct roster_site site;
        uint32_t id = 0;

        make_site(&site, &federation->site[i], names[i]);
        assert_int_equal(roster_add(roster, &site, &id), CHOIR_OK);
        assert_int_equal(id, i + 1);
    }
}

#endif
