/* party - a few real site machines and the least that an aggregator has to do between them: passing
 * on what they say, in whatever selection and with whatever changes a test wants.
 *
 * What the disk, the vault and the bulk link would answer is answered at once. Sites are numbered
 * 0..n-1 here; sets of them are bit masks. Everything is determined by the settings.
 */
#ifndef CHOIR_TESTS_ROUND_PARTY_H
#define CHOIR_TESTS_ROUND_PARTY_H

#include <stdbool.h>
#include <stdint.h>

#include "round/site.h"
#include "round/transcript.h"

enum {
    PARTY_MAX = 8,
    PARTY_BODY_MAX = 1024,   // bytes of what one site says
    PARTY_VECTOR_MAX = 1024, // bytes of an update
    PARTY_ALL = (1 << PARTY_MAX) - 1,
};

struct party_words { // what a site said last
    uint8_t body[PARTY_BODY_MAX];
    size_t len; // 0: nothing
};

struct party_site {
    uint32_t id;
    struct site *machine;
    struct party_words advert, shares, header, consent, unmask, refuse;
    enum message_code reported; // the last report to its people
    bool left;                  // was told to stop masking or uploading
    bool consented, revealed;   // was asked to store that
    uint8_t plain[PARTY_VECTOR_MAX], vector[PARTY_VECTOR_MAX];
};

struct party {
    size_t n;
    uint16_t suite, lane_bits;
    uint64_t n_parameters; // one segment
    uint32_t threshold, minimum, collusion;
    uint32_t attempt;
    bool masks_fail;          // putting masks on fails
    uint8_t r[4][HASH_BYTES]; // of the lists that were passed on last
    struct party_site site[PARTY_MAX];
    struct message message; // the one that is passed on
};

/* Sets up the machines for ids[0..n), ascending; suite, lane_bits and the rest are set already. */
void party_begin(struct party *party, const uint32_t *ids, size_t n);
void party_end(struct party *party);

size_t party_bytes(const struct party *party); // of a vector

/* One event of site `i`, and everything that follows from it at this site. */
void party_happens(struct party *party, size_t i, struct site_event event);
/* party->message, answering `transcript`, reaches site `i`. */
void party_tells(struct party *party, size_t i, const uint8_t *transcript);

/* Puts the message of a step together out of what `sites` said, the transcript hash too. */
void party_make_open(struct party *party);
void party_make_adverts(struct party *party, unsigned sites);
void party_make_shares_all(struct party *party, size_t receiver, unsigned sites);
void party_make_survivors(struct party *party, unsigned sites);
void party_make_consents(struct party *party, unsigned sites);

/* The same, and tells it to each of `receivers`. */
void party_open(struct party *party);
void party_adverts(struct party *party, unsigned sites, unsigned receivers);
void party_shares_all(struct party *party, unsigned sites, unsigned receivers);
void party_survivors(struct party *party, unsigned sites, unsigned receivers);
void party_consents(struct party *party, unsigned sites, unsigned receivers);

#endif
