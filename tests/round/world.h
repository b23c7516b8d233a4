/* world - n sites and an aggregator in one process, over a seeded network with faults.
 *
 * Messages are delayed, dropped, repeated and reordered, links are cut, parties crash between
 * any two effects and come back with what was durable: a site with its marks, consents and
 * charged updates, the aggregator with its journal, finished uploads and models.
 *
 * The update of site i is one unit vector of its own, so a sum shows by itself who is in it and how
 * often. With masks on (`suite`) the vectors are there, masked and unmasked for real, in segments
 * of a few lanes; a site that crashes has lost its secrets. What must hold is checked at every effect (see world.c, `must`).
 */
#ifndef CHOIR_TESTS_ROUND_WORLD_H
#define CHOIR_TESTS_ROUND_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct world;

/* What a site is about to do when it dies for good. */
enum world_step {
    WORLD_LIVES,
    WORLD_ADVERTISE,
    WORLD_SHARES,
    WORLD_MASKED,
    WORLD_UPLOAD, // its header is out, its vector is not
    WORLD_CONSENT,
    WORLD_UNMASK,
    WORLD_STEPS,
};

enum { WORLD_SITES_MAX = 120 };

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
    uint16_t suite;                        // of the masks; 0: none
    uint16_t lane_bits;                    // with masks: 16 or 32
    bool sparse;                           // the roster has a seed for its graphs
    uint8_t dies[WORLD_SITES_MAX + 1];     // enum world_step, by site id; restore is false then
};

struct world_result {
    bool broken; // something that must hold did not; `what` says so
    char what[256];
    bool ended; // the run ended at the aggregator and at every site
    uint64_t closed, lost, attempts, crashes, resumed; // what happened
    uint64_t ended_ms;
    uint64_t sums;    // asked for
    uint64_t reveals; // UNMASK sent by a site
    uint64_t proofs;  // that were checked
    size_t n_last;    // sites in the last sum, and which
    uint32_t last[WORLD_SITES_MAX];
};

void world_run(const struct world_settings *settings, struct world_result *result);

#endif
