#include "wire/roster.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hex.h"

enum { VERSION = 1 };

static const char magic[8] = {'C', 'H', 'O', 'I', 'R', 'R', 'O', 'S'};
static const char context[] = "CHOIR-ROSTER"; // signed with its zero, before the record

static const uint8_t no_key[SIGN_PUBLIC_BYTES]; // a key that was left out

bool roster_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

    return len > 0 && len < ROSTER_NAME_MAX && name[len] == '\0';
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

static bool same_key(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, SIGN_PUBLIC_BYTES) == 0;
}

static bool site_is_valid(const struct roster_site *site)
{
    return roster_name_is_valid(site->name) && !same_key(site->sign_key, no_key) &&
           !same_key(site->curve_key, no_key) && !same_key(site->ledger_key, no_key);
}

static bool sites_collide(const struct roster_site *a, const struct roster_site *b)
{
    return a->id == b->id || strcmp(a->name, b->name) == 0 || same_key(a->sign_key, b->sign_key) ||
           same_key(a->curve_key, b->curve_key) || same_key(a->ledger_key, b->ledger_key);
}

static bool collides_with_aggregator(const struct roster *roster, const struct roster_site *site)
{
    return same_key(site->sign_key, roster->aggregator.sign_key) ||
           same_key(site->curve_key, roster->aggregator.curve_key);
}

static bool head_is_valid(const struct roster *roster)
{
    return roster_name_is_valid(roster->name) && roster->epoch >= 1 &&
           roster->issued < roster->expires && roster->n_sites <= ROSTER_SITES_MAX &&
           (roster->n_sites == 0 || roster->c == 0 || roster->c < roster->n_sites) &&
           endpoint_is_valid(roster->aggregator.control) &&
           endpoint_is_valid(roster->aggregator.bulk);
}

static bool sites_are_valid(const struct roster *roster)
{
    uint32_t last = ROSTER_AGGREGATOR;

    for (size_t i = 0; i < roster->n_sites; i++) {
        const struct roster_site *site = &roster->sites[i];

        if (site->id <= last || !site_is_valid(site) || collides_with_aggregator(roster, site))
            return false;
        for (size_t k = 0; k < i; k++)
            if (sites_collide(site, &roster->sites[k]))
                return false;
        last = site->id;
    }
    return true;
}

void roster_release(struct roster *roster)
{
    free(roster->sites);
    memset(roster, 0, sizeof *roster);
}

enum choir_err roster_add(struct roster *roster, const struct roster_site *site, uint32_t *id)
{
    uint32_t next = roster->n_sites == 0 ? 1 : roster->sites[roster->n_sites - 1].id + 1;
    struct roster_site *more;

    if (!site_is_valid(site))
        return CHOIR_ERR_FORMAT;
    if (roster->n_sites >= ROSTER_SITES_MAX || next == 0 || collides_with_aggregator(roster, site))
        return CHOIR_ERR_REFUSED;
    for (size_t i = 0; i < roster->n_sites; i++) {
        struct roster_site there = roster->sites[i];

        there.id = site->id + 1; // ids are given here: they cannot collide
        if (sites_collide(&there, site))
            return CHOIR_ERR_REFUSED;
    }
    more = realloc(roster->sites, (roster->n_sites + 1) * sizeof *more);
    if (more == NULL)
        return CHOIR_ERR_MEMORY;
    roster->sites = more;
    more[roster->n_sites] = *site;
    more[roster->n_sites++].id = next;
    *id = next;
    return CHOIR_OK;
}

static void put_record(struct buf *buf, const struct roster *roster)
{
    buf_bytes(buf, magic, sizeof magic);
    buf_u16(buf, VERSION);
    buf_bytes(buf, roster->root_key, sizeof roster->root_key);
    buf_bytes(buf, roster->federation, sizeof roster->federation);
    buf_text(buf, roster->name);
    buf_u64(buf, roster->epoch);
    buf_u64(buf, roster->issued);
    buf_u64(buf, roster->expires);
    buf_u32(buf, roster->c);
    buf_bytes(buf, roster->previous, sizeof roster->previous);
    buf_bytes(buf, roster->operator_key, sizeof roster->operator_key);
    buf_bytes(buf, roster->aggregator.sign_key, sizeof roster->aggregator.sign_key);
    buf_bytes(buf, roster->aggregator.curve_key, sizeof roster->aggregator.curve_key);
    buf_text(buf, roster->aggregator.control);
    buf_text(buf, roster->aggregator.bulk);
    buf_u32(buf, (uint32_t)roster->n_sites);
    for (size_t i = 0; i < roster->n_sites; i++) {
        const struct roster_site *site = &roster->sites[i];

        buf_u32(buf, site->id);
        buf_text(buf, site->name);
        buf_bytes(buf, site->sign_key, sizeof site->sign_key);
        buf_bytes(buf, site->curve_key, sizeof site->curve_key);
        buf_bytes(buf, site->ledger_key, sizeof site->ledger_key);
    }
}

// Everything up to the number of sites, which is checked before anything is allocated for them.
static enum choir_err get_head(struct view *view, struct roster *roster)
{
    view_bytes(view, roster->federation, sizeof roster->federation);
    view_text(view, roster->name, sizeof roster->name);
    roster->epoch = view_u64(view);
    roster->issued = view_u64(view);
    roster->expires = view_u64(view);
    roster->c = view_u32(view);
    view_bytes(view, roster->previous, sizeof roster->previous);
    view_bytes(view, roster->operator_key, sizeof roster->operator_key);
    view_bytes(view, roster->aggregator.sign_key, sizeof roster->aggregator.sign_key);
    view_bytes(view, roster->aggregator.curve_key, sizeof roster->aggregator.curve_key);
    view_text(view, roster->aggregator.control, sizeof roster->aggregator.control);
    view_text(view, roster->aggregator.bulk, sizeof roster->aggregator.bulk);
    roster->n_sites = view_u32(view);
    return view->failed || !head_is_valid(roster) ? CHOIR_ERR_FORMAT : CHOIR_OK;
}

static enum choir_err get_sites(struct view *view, struct roster *roster)
{
    if (roster->n_sites == 0)
        return view_done(view) ? CHOIR_OK : CHOIR_ERR_FORMAT;
    roster->sites = calloc(roster->n_sites, sizeof *roster->sites);
    if (roster->sites == NULL)
        return CHOIR_ERR_MEMORY;
    for (size_t i = 0; i < roster->n_sites && !view->failed; i++) {
        struct roster_site *site = &roster->sites[i];

        site->id = view_u32(view);
        view_text(view, site->name, sizeof site->name);
        view_bytes(view, site->sign_key, sizeof site->sign_key);
        view_bytes(view, site->curve_key, sizeof site->curve_key);
        view_bytes(view, site->ledger_key, sizeof site->ledger_key);
    }
    return view_done(view) && sites_are_valid(roster) ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

// What the signature is over: the context with its zero, then the record. `to` has the room.
static size_t put_signed(uint8_t *to, const uint8_t *record, size_t len)
{
    memcpy(to, context, sizeof context);
    memcpy(to + sizeof context, record, len);
    return sizeof context + len;
}

enum choir_err roster_sign(struct roster *roster,
                           const uint8_t root_secret[static SIGN_SECRET_BYTES], uint8_t **bytes,
                           size_t *len)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    uint8_t *file = malloc(ROSTER_BYTES_MAX), *message = malloc(sizeof context + ROSTER_BYTES_MAX);
    struct buf buf = buf_over(file, ROSTER_BYTES_MAX - SIGN_BYTES);
    size_t message_len;

    if (file == NULL || message == NULL)
        goto out;
    err = CHOIR_ERR_FORMAT;
    if (!head_is_valid(roster) || !sites_are_valid(roster))
        goto out;
    put_record(&buf, roster);
    if (!buf_ok(&buf))
        goto out;
    message_len = put_signed(message, file, buf.len);
    sign_make(file + buf.len, message, message_len, root_secret);
    if (sign_check(file + buf.len, message, message_len, roster->root_key) != CHOIR_OK)
        goto out; // the secret is not that of the root key in the record
    *len = buf.len + SIGN_BYTES;
    hash_bytes(roster->hash, file, *len);
    *bytes = file;
    file = NULL;
    err = CHOIR_OK;
out:
    free(message);
    free(file);
    return err;
}

static enum choir_err check_signature(const uint8_t *bytes, size_t len, const uint8_t *root_key)
{
    enum choir_err err;
    uint8_t *message = malloc(sizeof context + len);
    size_t message_len;

    if (message == NULL)
        return CHOIR_ERR_MEMORY;
    message_len = put_signed(message, bytes, len - SIGN_BYTES);
    err = sign_check(bytes + len - SIGN_BYTES, message, message_len, root_key);
    free(message);
    return err;
}

enum choir_err roster_decode(const uint8_t *bytes, size_t len, const char *fingerprint,
                             struct roster *out)
{
    enum choir_err err = CHOIR_ERR_FORMAT;
    struct roster roster = {0};
    char found[ROSTER_FINGERPRINT_MAX];
    const uint8_t *head;
    struct view view;

    if (len <= SIGN_BYTES || len > ROSTER_BYTES_MAX)
        return CHOIR_ERR_FORMAT;
    view = view_over(bytes, len - SIGN_BYTES);
    head = view_take(&view, sizeof magic);
    if (head == NULL || memcmp(head, magic, sizeof magic) != 0 || view_u16(&view) != VERSION)
        return CHOIR_ERR_FORMAT;
    view_bytes(&view, roster.root_key, sizeof roster.root_key);
    if (view.failed)
        return CHOIR_ERR_FORMAT;
    roster_fingerprint(found, roster.root_key);
    if (fingerprint != NULL && strcmp(found, fingerprint) != 0)
        return CHOIR_ERR_FORGED;
    err = check_signature(bytes, len, roster.root_key);
    if (err == CHOIR_OK)
        err = get_head(&view, &roster);
    if (err == CHOIR_OK)
        err = get_sites(&view, &roster);
    if (err != CHOIR_OK) {
        roster_release(&roster);
        return err;
    }
    hash_bytes(roster.hash, bytes, len);
    *out = roster;
    return CHOIR_OK;
}

enum choir_err roster_read(const char *path, const char *fingerprint, struct roster *out)
{
    enum choir_err err;
    uint8_t *bytes = NULL;
    size_t len = 0;

    err = file_read(path, ROSTER_BYTES_MAX, &bytes, &len);
    if (err != CHOIR_OK)
        return err;
    err = roster_decode(bytes, len, fingerprint, out);
    free(bytes);
    return err;
}

enum choir_err roster_copy(const struct roster *from, struct roster *out)
{
    struct roster copy = *from;

    copy.sites = NULL;
    if (from->n_sites > 0) {
        copy.sites = calloc(from->n_sites, sizeof *copy.sites);
        if (copy.sites == NULL)
            return CHOIR_ERR_MEMORY;
        memcpy(copy.sites, from->sites, from->n_sites * sizeof *copy.sites);
    }
    *out = copy;
    return CHOIR_OK;
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

const uint8_t *roster_sign_key(const struct roster *roster, uint32_t sender)
{
    const struct roster_site *site;

    if (sender == ROSTER_AGGREGATOR)
        return roster->aggregator.sign_key;
    site = roster_by_id(roster, sender);
    return site == NULL ? NULL : site->sign_key;
}

uint32_t roster_default_c(size_t n_sites)
{
    return n_sites <= 4 ? 0 : (uint32_t)((n_sites - 1) / 3);
}

void roster_fingerprint(char text[static ROSTER_FINGERPRINT_MAX],
                        const uint8_t root_key[static SIGN_PUBLIC_BYTES])
{
    uint8_t hash[HASH_BYTES];

    hash_bytes(hash, root_key, SIGN_PUBLIC_BYTES);
    hex_put(text, hash, sizeof hash);
}

const char *roster_fault_text(enum choir_err err)
{
    switch (err) {
    case CHOIR_ERR_MISSING:
        return "there is no roster here: the coordinator has it (DIR/roster.bin) and gives it to "
               "everybody";
    case CHOIR_ERR_FORGED:
        return "the roster is not signed by the root key that is expected: compare the root fingerprint "
               "with the coordinator by telephone";
    case CHOIR_ERR_FORMAT:
        return "this is not a roster, or it is damaged: get it again from the coordinator";
    case CHOIR_OK:
    case CHOIR_ERR_MEMORY:
    case CHOIR_ERR_IO:
    case CHOIR_ERR_REFUSED:
    case CHOIR_ERR_PEER:
    case CHOIR_ERR_AGAIN:
    default:
        return choir_err_text(err);
    }
}
