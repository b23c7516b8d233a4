#include "cli/rosterpage.h"

#include <stdio.h>
#include <time.h>

#include "base/hex.h"
#include "cli/args.h"
#include "cli/choir.h"
#include "round/graph.h"
#include "wire/roster.h"

static void print_date(const char *what, uint64_t seconds)
{
    char date[32];
    time_t time = (time_t)seconds;
    struct tm parts;

    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&time, &parts));
    printf("%-12s %s\n", what, date);
}

// Which graph a round over all sites would use, and what the coordinator can do about it.
static void print_graph(const struct roster *roster)
{
    static const uint8_t run[MESSAGE_RUN_BYTES];
    struct site_set all = {.n = roster->n_sites};
    struct graph_terms terms;
    struct graph graph;

    for (size_t i = 0; i < roster->n_sites; i++)
        all.id[i] = roster->sites[i].id;
    roster_graph_terms(roster, &terms);
    printf("graph seed   %s\n", roster->has_seed ? "made of the nonces of all sites"
                                                 : "none: sites have not shown their nonces");
    if (roster->n_sites == 0)
        return;
    if (graph_make(&terms, run, 1, &all, &graph) != CHOIR_OK)
        printf("graph        none: a round of more than %d sites needs the nonces of all sites "
               "(`choir-node reveal`, `choir roster reveal`)\n",
               GRAPH_UNSEEDED_MAX);
    else if (graph_is_complete(&graph))
        printf("graph        complete: every site shares masks with every other\n");
    else
        printf("graph        pseudo-random: about %u neighbours of %zu, shares of %u.%u %% of them "
               "restore a site\n",
               graph.degree, roster->n_sites - 1, graph.tau_milli / 10, graph.tau_milli % 10);
}

static void print_roster(const struct roster *roster)
{
    char text[2 * HASH_BYTES + 1];

    printf("federation   %s, epoch %llu\n", roster->name, (unsigned long long)roster->epoch);
    roster_fingerprint(text, roster->root_key);
    printf("root         %s\n", text);
    hex_put(text, roster->hash, HASH_BYTES);
    printf("roster hash  %s\n", text);
    print_date("issued", roster->issued);
    print_date("expires", roster->expires);
    printf("aggregator   %s (control), %s (bulk)\n", roster->aggregator.control,
           roster->aggregator.bulk);
    for (size_t i = 0; i < roster->n_relays; i++)
        printf("relay %4u   %-24s %s (control), %s (bulk)\n", roster->relays[i].id,
               roster->relays[i].name, roster->relays[i].control, roster->relays[i].bulk);
    printf("sites        %zu, of which %u may collude with the aggregator\n", roster->n_sites,
           roster->c);
    print_graph(roster);
    for (size_t i = 0; i < roster->n_sites; i++) {
        hex_put(text, roster->sites[i].sign_key, 8);
        printf("  %4u  %-24s key %s...", roster->sites[i].id, roster->sites[i].name, text);
        if (roster->sites[i].relay != ROSTER_RELAY_NONE)
            printf("  relay %u", roster->sites[i].relay);
        printf("\n");
    }
}

int rosterpage_show(const char *path)
{
    struct roster roster = {0};
    enum choir_err err = roster_read(path, NULL, &roster);

    if (err != CHOIR_OK)
        return args_fail(path, roster_fault_text(err));
    print_roster(&roster);
    printf("Signed by the root key above. Whether that is the root you trust, its fingerprint "
           "tells.\n");
    roster_release(&roster);
    return EXIT_DONE;
}
