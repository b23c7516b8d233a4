#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/maskset.h"
#include "round/proof.h"
#include "round/quorum.h"

/* One call of proof_check(). */
struct checking {
    const struct proof_terms *terms;
    struct proof_result *out;
    struct proof proof;
    struct message list, item; // a part of the proof, and one message in it
    struct said said;          // who said what in that part
    struct site_set v1;
    struct unmasking *unmasking;
};

CHOIR_PRINTF(3, 4)
static enum choir_err fault(struct checking *checking, enum choir_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(checking->out->fault, sizeof checking->out->fault, format, args);
    va_end(args);
    return err;
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HASH_BYTES) == 0;
}

static void set_of_said(const struct checking *checking, struct site_set *set)
{
    set->n = checking->said.n;
    memcpy(set->id, checking->said.id, set->n * sizeof set->id[0]);
}

static enum choir_err decode_list(struct checking *checking, const struct proof_part *part,
                                  enum message_kind kind)
{
    checking->said.n = 0;
    if (message_decode((uint16_t)kind, part->at, part->len, &checking->list) != CHOIR_OK)
        return fault(checking, CHOIR_ERR_FORMAT, "%s cannot be read", message_name((uint16_t)kind));
    return CHOIR_OK;
}

// Item `i` of a list: signed by a member of `from`, of this attempt, answering `r`; ids ascend.
static enum choir_err take_item(struct checking *checking, const struct envelope_list *list,
                                size_t i, enum message_kind kind, const uint8_t *r,
                                const struct site_set *from)
{
    const struct msg_round_open *open = &checking->out->open;
    struct said *said = &checking->said;
    struct incoming item;
    enum choir_err err = checking->terms->open(checking->terms->open_context, list->item[i].at,
                                               list->item[i].len, &item);

    if (err != CHOIR_OK)
        return fault(checking, err, "%s number %zu has no good signature",
                     message_name((uint16_t)kind), i + 1);
    if (item.kind != kind || memcmp(item.run, open->run, MESSAGE_RUN_BYTES) != 0 ||
        item.round != open->round || item.attempt != open->attempt || !same(item.transcript, r) ||
        !site_set_has(from, item.sender) || (i > 0 && item.sender <= said->id[i - 1]) ||
        message_decode(item.kind, item.body, item.body_len, &checking->item) != CHOIR_OK)
        return fault(checking, CHOIR_ERR_FORGED, "%s number %zu does not belong there",
                     message_name((uint16_t)kind), i + 1);
    said->id[i] = item.sender;
    hash_bytes(said->hash[i], item.body, item.body_len);
    said->n = i + 1;
    return CHOIR_OK;
}

static enum choir_err enough(struct checking *checking, const char *what, size_t n, uint32_t need)
{
    if (n >= need)
        return CHOIR_OK;
    return fault(checking, CHOIR_ERR_FORGED, "%s has %zu sites, fewer than %u", what, n,
                 (unsigned)need);
}

static enum choir_err check_open(struct checking *checking)
{
    const struct proof_terms *terms = checking->terms;
    const struct proof *proof = &checking->proof;
    struct msg_round_open *open = &checking->out->open;
    uint32_t n;
    enum choir_err err = decode_list(checking, &proof->open, MESSAGE_ROUND_OPEN);

    if (err != CHOIR_OK)
        return err;
    *open = checking->list.round_open;
    n = (uint32_t)open->sites.n;
    if (memcmp(open->run, proof->run, MESSAGE_RUN_BYTES) != 0 || open->round != proof->round ||
        open->attempt != proof->attempt)
        return fault(checking, CHOIR_ERR_FORGED, "round_open is of another attempt");
    if (open->suite == 0)
        return fault(checking, CHOIR_ERR_REFUSED, "the round had no masks");
    if (!site_set_within(&open->sites, &terms->roster))
        return fault(checking, CHOIR_ERR_FORGED, "a site is not in the roster");
    if (open->threshold < quorum_threshold(n, terms->collusion) ||
        open->minimum < quorum_minimum(n, terms->collusion, 1, true))
        return fault(checking, CHOIR_ERR_FORGED, "the quorum is too small for %u sites",
                     (unsigned)n);
    return transcript_open(checking->out->r[0], terms->roster_hash, proof->open.at,
                           proof->open.len);
}

static enum choir_err have_unmasking(struct checking *checking)
{
    const struct msg_round_open *open = &checking->out->open;
    struct unmasking_terms *terms = calloc(1, sizeof *terms);
    enum choir_err err;

    if (terms == NULL)
        return CHOIR_ERR_MEMORY;
    terms->suite = open->suite;
    terms->threshold = open->threshold;
    terms->collusion = checking->terms->collusion;
    terms->v0 = open->sites;
    memcpy(terms->r0, checking->out->r[0], HASH_BYTES);
    err = graph_make(&checking->terms->graph, open->run, open->round, &open->sites, &terms->graph);
    if (err == CHOIR_ERR_REFUSED)
        (void)fault(checking, err, "the roster gives no graph for so many sites");
    if (err == CHOIR_OK)
        err = unmasking_new(terms, &checking->unmasking);
    free(terms);
    return err;
}

static enum choir_err check_adverts(struct checking *checking)
{
    struct proof_result *out = checking->out;
    uint32_t other;
    enum choir_err err = have_unmasking(checking);

    if (err == CHOIR_OK)
        err = decode_list(checking, &checking->proof.adverts, MESSAGE_ADVERTS);
    for (size_t i = 0; err == CHOIR_OK && i < checking->list.adverts.adverts.n; i++) {
        const struct msg_advertise *advert = &checking->item.advertise;

        err = take_item(checking, &checking->list.adverts.adverts, i, MESSAGE_ADVERTISE, out->r[0],
                        &out->open.sites);
        if (err == CHOIR_OK && advert->suite != out->open.suite)
            err = fault(checking, CHOIR_ERR_FORGED, "an advert is for other masks");
        if (err != CHOIR_OK)
            break;
        err = unmasking_advert(checking->unmasking, checking->said.id[i], advert, &other);
        if (err == CHOIR_ERR_REFUSED)
            err = fault(checking, CHOIR_ERR_FORGED, "site %u advertises a key that cannot be used",
                        (unsigned)checking->said.id[i]);
    }
    if (err == CHOIR_OK)
        err = enough(checking, "V1", checking->said.n, out->open.minimum);
    if (err == CHOIR_OK)
        err = transcript_next(out->r[1], 1, out->r[0], &checking->said);
    if (err == CHOIR_OK) {
        set_of_said(checking, &checking->v1);
        unmasking_set_v1(checking->unmasking, &checking->v1, out->r[1]);
    }
    return err;
}

static enum choir_err check_bundles(struct checking *checking)
{
    struct proof_result *out = checking->out;
    const struct said *bundles = &checking->proof.bundles;

    out->v2.n = bundles->n;
    memcpy(out->v2.id, bundles->id, bundles->n * sizeof bundles->id[0]);
    if (!site_set_within(&out->v2, &checking->v1))
        return fault(checking, CHOIR_ERR_FORGED, "a site shared that had not advertised");
    if (out->v2.n < out->open.minimum)
        return enough(checking, "V2", out->v2.n, out->open.minimum);
    return transcript_next(out->r[2], 2, out->r[1], bundles);
}

static bool header_fits(const struct checking *checking, size_t i)
{
    const struct proof_result *out = checking->out;
    const struct msg_masked *header = &checking->item.masked;

    return header->suite == out->open.suite && same(header->r2, out->r[2]) &&
           header->site == checking->said.id[i] && header->n_parameters == out->open.n_parameters &&
           header->lane_bits == out->open.lane_bits && (i == 0 || header->bytes == out->bytes);
}

static enum choir_err check_survivors(struct checking *checking)
{
    struct proof_result *out = checking->out;
    const struct msg_survivors *survivors = &checking->list.survivors;
    enum choir_err err = decode_list(checking, &checking->proof.survivors, MESSAGE_SURVIVORS);

    for (size_t i = 0; err == CHOIR_OK && i < survivors->headers.n; i++) {
        err = take_item(checking, &survivors->headers, i, MESSAGE_MASKED, out->r[2], &out->v2);
        if (err == CHOIR_OK && !header_fits(checking, i))
            err = fault(checking, CHOIR_ERR_FORGED, "the header of site %u is not of this round",
                        (unsigned)checking->said.id[i]);
        out->bytes = checking->item.masked.bytes;
        memcpy(out->root[i], checking->item.masked.root, HASH_BYTES);
    }
    if (err == CHOIR_OK)
        err = enough(checking, "U", checking->said.n, out->open.minimum);
    if (err == CHOIR_OK)
        err = transcript_next(out->r[3], 3, out->r[2], &checking->said);
    if (err == CHOIR_OK && !same(out->r[3], survivors->r3))
        err = fault(checking, CHOIR_ERR_FORGED, "survivors does not hold its own hash R3");
    if (err == CHOIR_OK)
        set_of_said(checking, &out->u);
    return err;
}

static enum choir_err check_consents(struct checking *checking)
{
    struct proof_result *out = checking->out;
    const struct envelope_list *list = &checking->list.consents.consents;
    const struct msg_consent *consent = &checking->item.consent;
    enum choir_err err = decode_list(checking, &checking->proof.consents, MESSAGE_CONSENTS);

    for (size_t i = 0; err == CHOIR_OK && i < list->n; i++) {
        err = take_item(checking, list, i, MESSAGE_CONSENT, out->r[3], &out->u);
        if (err == CHOIR_OK && (!same(consent->r2, out->r[2]) || !same(consent->r3, out->r[3])))
            err = fault(checking, CHOIR_ERR_FORGED, "site %u consented to something else",
                        (unsigned)checking->said.id[i]);
    }
    out->n_consents = checking->said.n;
    return err == CHOIR_OK ? enough(checking, "the consent", out->n_consents, out->open.threshold)
                           : err;
}

static enum choir_err check_secrets(struct checking *checking)
{
    struct proof_result *out = checking->out;
    struct proof *proof = &checking->proof;
    size_t n;
    enum choir_err err = unmasking_set_survivors(checking->unmasking, &out->v2, &out->u, out->r[2]);

    if (err == CHOIR_OK)
        err = unmasking_recheck(checking->unmasking, proof->revealed, proof->n_revealed);
    if (err == CHOIR_ERR_FORMAT || err == CHOIR_ERR_FORGED)
        err =
            fault(checking, CHOIR_ERR_FORGED, "a revealed secret is not what its site advertised");
    if (err == CHOIR_OK)
        err = revealed_hash(out->revealed_hash, out->r[3], proof->revealed, proof->n_revealed);
    if (err == CHOIR_OK)
        err = unmasking_harvest(checking->unmasking, proof->revealed, &n, &out->unmask);
    if (err == CHOIR_ERR_REFUSED)
        err = fault(checking, err, "these masks are not known here");
    return err;
}

enum choir_err proof_check(const struct proof_terms *terms, const uint8_t *bytes, size_t len,
                           struct proof_result *out)
{
    struct checking *checking = calloc(1, sizeof *checking);
    enum choir_err err;

    memset(out, 0, sizeof *out);
    if (checking == NULL)
        return CHOIR_ERR_MEMORY;
    checking->terms = terms;
    checking->out = out;
    err = proof_decode(bytes, len, &checking->proof);
    if (err != CHOIR_OK)
        err = fault(checking, err, "the proof cannot be read");
    if (err == CHOIR_OK)
        err = check_open(checking);
    if (err == CHOIR_OK)
        err = check_adverts(checking);
    if (err == CHOIR_OK)
        err = check_bundles(checking);
    if (err == CHOIR_OK)
        err = check_survivors(checking);
    if (err == CHOIR_OK)
        err = check_consents(checking);
    if (err == CHOIR_OK)
        err = check_secrets(checking);
    unmasking_free(checking->unmasking);
    free(checking);
    return err;
}
