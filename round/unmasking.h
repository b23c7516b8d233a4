/* unmasking - what the aggregator of SA1 keeps of one attempt with masks on: the adverts, the
 * sealed shares on their way, the shares that come back, and what is restored from them.
 *
 * Two secrets of each site are shared out: b, from which its self mask comes, and rho, from which
 * its pair masks come. Of a site in U its b is restored, of one that dropped out its rho; the sites
 * never give both. What is restored is checked against the site's own advert (its commitment, its
 * mask key). A share that does not fit names who held and who dealt it.
 *
 * Calls come in the order of an attempt: adverts, V1, bundles, V2, U, answers, restore, harvest.
 * An object belongs to one thread. What it keeps of shares and secrets is locked memory, wiped
 * when it is freed. Source: SA1, steps 1, 2 and 5. */
#ifndef CHOIR_ROUND_UNMASKING_H
#define CHOIR_ROUND_UNMASKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "round/graph.h"
#include "wire/message.h"

struct unmasking;
struct maskset; // crypto/maskset.h

struct unmasking_terms {
    uint16_t suite;     // 1..3
    uint32_t threshold; // T
    uint32_t collusion; // c
    struct graph graph; // of V0
    struct site_set v0;
    uint8_t r0[HASH_BYTES];
};

/* A restored secret, published in the proof of the round. */
struct revealed {
    uint32_t id;
    bool of_mask_key; // true: rho of a site that dropped; false: b of one in U
    uint8_t secret[MESSAGE_SHARE_BYTES];
};

/* What is wrong with the shares of a site's secret. */
enum unmasking_blame {
    UNMASKING_UNCLEAR, // too few shares came to tell: one of them, or all, do not fit the advert
    UNMASKING_HOLDER,  // restored without the share of `holder`: it lies, or was dealt a wrong one
    UNMASKING_DEALER,  // they agree on another secret than the dealer had committed itself to, in
                       // more shares than the c sites that may collude could bend
};

struct unmasking_fault {
    enum unmasking_blame blame;
    uint32_t dealer;
    uint32_t holder; // with UNMASKING_HOLDER
};

enum { UNMASKING_FAULTS_MAX = 16 }; // that are told of; more are counted only

struct unmasking_faults {
    size_t n, n_more;
    struct unmasking_fault item[UNMASKING_FAULTS_MAX];
};

/* `terms` is copied. Finds the neighbours of each site. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_new(const struct unmasking_terms *terms,
                                              struct unmasking **out);
void unmasking_free(struct unmasking *unmasking); // NULL is allowed

/* Takes the advert of `site`, one of V0, once. Fails with CHOIR_ERR_REFUSED if a key of it is of low order or is
 * the other key or that of another site, which then is *other (else 0), or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_advert(struct unmasking *unmasking, uint32_t site,
                                                 const struct msg_advertise *advert,
                                                 uint32_t *other);

/* The sites whose adverts everybody gets; each has one here. */
void unmasking_set_v1(struct unmasking *unmasking, const struct site_set *v1,
                      const uint8_t r1[static HASH_BYTES]);

/* Whether the secrets of all of `dealers` could be restored if `holders` reveal their shares; else
 * *who is the first for which it is not so. */
bool unmasking_reaches(const struct unmasking *unmasking, const struct site_set *dealers,
                       const struct site_set *holders, uint32_t *who);

/* Whether `bundle` holds exactly one sealed pair of shares for each neighbour of `site` in V1. */
bool unmasking_bundle_fits(const struct unmasking *unmasking, uint32_t site,
                           const struct msg_shares *bundle);

/* Keeps a bundle that fits, for forwarding. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_bundle(struct unmasking *unmasking, uint32_t site,
                                                 const struct msg_shares *bundle);

/* What `from` has sealed for `to`, MESSAGE_CIPHER_MAX bytes; NULL if they are not neighbours or
 * the bundle is not kept. */
const uint8_t *unmasking_cipher(const struct unmasking *unmasking, uint32_t from, uint32_t to);

/* Who shared, and in whose sum they are: V2 within V1, U within V2. Sealed shares are forgotten.
 * Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_set_survivors(struct unmasking *unmasking,
                                                        const struct site_set *v2,
                                                        const struct site_set *u,
                                                        const uint8_t r2[static HASH_BYTES]);

/* Whether `answer` holds exactly the shares that `site` has to reveal: of b of its neighbours and
 * itself in U, of rho of its neighbours in V2 that are not, all canonical. */
bool unmasking_answer_fits(const struct unmasking *unmasking, uint32_t site,
                           const struct msg_unmask *answer);

/* Takes an answer that fits, once. */
void unmasking_answer(struct unmasking *unmasking, uint32_t site, const struct msg_unmask *answer);

/* How many sites of V2 have fewer shares here than are needed. */
size_t unmasking_short(const struct unmasking *unmasking);

/* Restores what has not been restored and has gained shares since it was last tried, and checks
 * it. *failed is how many secrets could not be restored; *faults tells why. Fails with
 * CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_restore(struct unmasking *unmasking, size_t *failed,
                                                  struct unmasking_faults *faults);

/* When everything is restored: the secrets by ascending id, revealed[0..n) with n = |V2|, and the
 * masks that take all masks out of the sum over U. On CHOIR_OK *masks is the caller's. Fails with
 * CHOIR_ERR_MISSING before that, CHOIR_ERR_FORMAT for a key of low order, or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_harvest(const struct unmasking *unmasking,
                                                  struct revealed *revealed, size_t *n,
                                                  struct maskset **masks);

/* The same from secrets that are public already (an auditor's): checks each against its advert.
 * `revealed` holds one entry for each of V2, ascending. Fails with CHOIR_ERR_FORGED for a secret
 * that does not fit, CHOIR_ERR_FORMAT for the wrong list, or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err unmasking_recheck(struct unmasking *unmasking,
                                                  const struct revealed *revealed, size_t n);

/* SHA-256("CHOIR-SA1/revealed" || R3 || (id u32, 1 if rho u8, secret) ascending): ROUND_CLOSE. */
CHOIR_MUST_CHECK enum choir_err revealed_hash(uint8_t hash[static HASH_BYTES],
                                              const uint8_t r3[static HASH_BYTES],
                                              const struct revealed *revealed, size_t n);

#endif
