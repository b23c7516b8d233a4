/* masking - the secrets of one site in one attempt: what its adverts, shares, masks and reveals
 * are made of.
 *
 * Everything secret comes from 32 fresh bytes F of the event in which the attempt begins, bound to
 * R0, and from nothing else:
 *
 *     rho                  HKDF(F, R0, "rho"), 64 bytes mod l
 *     b                    HKDF(F, R0, "b"), 64 bytes mod l
 *     share secret key     HKDF(F, R0, "share-sk"), 32 bytes
 *     polynomial of rho    shamir_split_seeded() with HKDF(F, R0, "split-rho"), 32 bytes
 *     polynomial of b      shamir_split_seeded() with HKDF(F, R0, "split-b"), 32 bytes
 *
 * and from rho and b what crypto/agree.h derives. It lies in locked memory, is never written
 * anywhere, and is wiped as soon as the next step does not need it; all of it by masking_free().
 *
 * Calls come in the order of a round: advert, meet, share, take, masks, reveal. Holders of a
 * site's shares are its neighbours in V1 and itself; who is whose neighbour, round/graph.h tells.
 * An object belongs to one thread. Source: SA1, steps 1 to 5.
 */
#ifndef CHOIR_ROUND_MASKING_H
#define CHOIR_ROUND_MASKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/maskset.h"
#include "round/graph.h"
#include "wire/message.h"

struct masking;

/* The attempt: suite >= 1, T, and V0, which has `self`. */
struct masking_terms {
    uint32_t self;
    uint16_t suite;
    uint32_t quorum;
    const struct graph *graph; // copied
    const struct site_set *v0; // borrowed for the call
};

/* Draws the secrets from `fresh`, which the caller wipes. On CHOIR_OK *out is the caller's, to be
 * freed with masking_free(). Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err masking_new(const struct masking_terms *terms,
                                            const uint8_t r0[static HASH_BYTES],
                                            const uint8_t fresh[static MESSAGE_NONCE_BYTES],
                                            struct masking **out);

/* Wipes and frees; NULL is allowed. */
void masking_free(struct masking *masking);

/* What the site tells everybody in step 1. */
void masking_advert(const struct masking *masking, struct msg_advertise *advert);

/* Forgets the adverts that were met: a list that was refused may be followed by another. */
void masking_meet_nobody(struct masking *masking);

/* The adverts of V1, one after the other by ascending id, the own one among them; kept are those
 * of neighbours. Fails with
 * CHOIR_ERR_FORMAT if one of its keys is of low order. */
CHOIR_MUST_CHECK enum choir_err masking_meet(struct masking *masking, uint32_t site,
                                             const struct msg_advertise *advert);

/* Whether no two of keys[0..n) are the same; sorts them. For both keys of every advert of V1: a key
 * used twice would make two boxes or two masks the same. */
bool masking_keys_differ(uint8_t (*keys)[CURVE_KEY_BYTES], size_t n);

/* The shares for the neighbours, sealed; the own ones stay here. Fails with CHOIR_ERR_REFUSED if
 * there are fewer holders in V1 than restoring needs: the site cannot take part. */
CHOIR_MUST_CHECK enum choir_err masking_share(struct masking *masking,
                                              const uint8_t r1[static HASH_BYTES],
                                              struct msg_shares *shares);

/* The box that site `from` of V2 sealed for this one, after masking_share(). Fails with CHOIR_ERR_FORGED if it does not
 * open or what it holds are no shares, CHOIR_ERR_REFUSED if `from` is no neighbour of V1. */
CHOIR_MUST_CHECK enum choir_err masking_take(struct masking *masking, uint32_t from,
                                             const uint8_t r1[static HASH_BYTES],
                                             const uint8_t box[static MESSAGE_CIPHER_MAX]);

/* Whether `site` of V0 is a neighbour. */
bool masking_is_neighbour(const struct masking *masking, uint32_t site);

/* The masks of the site's vector: its own and those it shares with its neighbours in V2. On CHOIR_OK
 * *out is the caller's, to be freed with maskset_free(); of the secrets only the shares are left
 * here. Fails with CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err masking_masks(struct masking *masking, const struct site_set *v2,
                                              const uint8_t r2[static HASH_BYTES],
                                              struct maskset **out);

/* Step 5: for each neighbour in V2 and the site itself, the share of b if it is in U, else that of
 * rho; of no site both. Once: fails with CHOIR_ERR_REFUSED the second time. */
CHOIR_MUST_CHECK enum choir_err masking_reveal(struct masking *masking, const struct site_set *v2,
                                               const struct site_set *u, struct msg_unmask *unmask);

#endif
