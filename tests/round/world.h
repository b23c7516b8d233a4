/* world - n sites and an aggregator in one process, over a seeded network with faults.
 *
 * Messages are delayed, dropped, repeated and reordered, links are cut, parties crash between
 * any two effects and come back with what was durable: a site with its marks, consents and
 * charged updates, the aggregator with its journal, finished uploads and models.
 *
 * The update of site i in round t is one unit vector of its own, so a sum shows by itself who is
 * in it and how often. What must hold is checked at every effect (see world.c, `must`).
 */
#ifndef CHOIR_TESTS_ROUND_WORLD_H
#define CHOIR_TESTS_ROUND_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct world;

struct world_settings {
    uint64_t seed;
    uint32_t n_sites;
    uint32_t collusion;
    uint32_t min_sites;
    uint64_t rounds;
    uint64_t faults_ms;                    // faults happen until then; afterwards everything heals
    uint64_t end_ms;                       // the latest end
    double drop, repeat, slow, crash, cut; // chances per message, message, message, effect, second
    bool restore;                          // parties that crash come back while faults last
};

struct world_result {
    bool broken; // something that must hold did not; `what` says so
    char what[256];
    bool ended; // the run ended at the aggregator and at every site
    uint64_t closed, lost, attempts, crashes, resumed; // what happened
    uint64_t ended_ms;
};

void world_run(const struct world_settings *settings, struct world_result *result);

#endif
