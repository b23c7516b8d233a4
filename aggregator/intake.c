#include "aggregator/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/turns.h"
#include "base/folder.h"
#include "base/hex.h"
#include "wire/roster.h"

enum { NAME_BYTES = 2 * HASH_BYTES + 32, LANES = ROSTER_RELAY_FIRST + ROSTER_RELAYS_MAX };

/* What goes on with one site, in both directions. */
struct lane {
    struct receiver *receiver; // NULL while nothing is expected
    int fd;                    // its spool file, -1 without receiver
    uint8_t root[HASH_BYTES];  // of what is coming in, or is whole
    bool whole;                // on disk under its final name; there is no receiver then
    bool kept;                 // the same, although it may not be expected any more
    bool done_due;             // the site is to be told so
    struct turn receiving;     // of the receiver, among all of them
    struct sender *sender;
    struct turn sending;
    bool last_was_sender; // which machine made the message of the last intake_next()
};

struct intake {
    int folder;
    const struct source *source;
    uint32_t window; // chunks that each site is asked for ahead
    struct turns receivers, senders;
    struct lane lane[LANES]; // by id of the site or relay
};

enum choir_err intake_open(const char *folder, size_t n_sites, struct intake **out)
{
    struct intake *intake = calloc(1, sizeof *intake);

    if (intake == NULL)
        return CHOIR_ERR_MEMORY;
    intake->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (intake->folder < 0) {
        free(intake);
        return CHOIR_ERR_IO;
    }
    intake->window = transfer_window(n_sites);
    for (size_t i = 0; i < LANES; i++)
        intake->lane[i].fd = -1;
    *out = intake;
    return CHOIR_OK;
}

static void stop_receiving(struct intake *intake, struct lane *lane)
{
    turns_end(&intake->receivers, &lane->receiving);
    receiver_free(lane->receiver);
    lane->receiver = NULL;
    if (lane->fd >= 0)
        close(lane->fd);
    lane->fd = -1;
    lane->whole = false;
    lane->done_due = false;
}

static void stop_sending(struct intake *intake, struct lane *lane)
{
    turns_end(&intake->senders, &lane->sending);
    sender_free(lane->sender);
    lane->sender = NULL;
}

void intake_close(struct intake *intake)
{
    if (intake == NULL)
        return;
    for (size_t i = 0; i < LANES; i++) {
        stop_receiving(intake, &intake->lane[i]);
        stop_sending(intake, &intake->lane[i]);
    }
    close(intake->folder);
    free(intake);
}

static struct lane *lane_of(struct intake *intake, uint32_t site)
{
    return site < LANES ? &intake->lane[site] : NULL;
}

static void spool_name(char name[static NAME_BYTES], uint32_t site,
                       const uint8_t root[static HASH_BYTES], const char *end)
{
    char hex[2 * HASH_BYTES + 1];

    hex_put(hex, root, HASH_BYTES);
    snprintf(name, NAME_BYTES, "%u-%s%s", site, hex, end);
}

enum choir_err intake_file(const struct intake *intake, uint32_t site,
                           const uint8_t root[static HASH_BYTES], int *fd)
{
    char name[NAME_BYTES];

    spool_name(name, site, root, "");
    *fd = openat(intake->folder, name, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT ? CHOIR_ERR_MISSING : CHOIR_ERR_IO;
    return CHOIR_OK;
}

// A site has one vector at a time: attempt after attempt another one would fill the disk.
static void forget_vector(const struct intake *intake, struct lane *lane, uint32_t site)
{
    char name[NAME_BYTES];

    spool_name(name, site, lane->root, lane->kept ? "" : ".part");
    unlinkat(intake->folder, name, 0);
    lane->kept = false;
}

enum choir_err intake_expect(struct intake *intake, uint32_t site,
                             const uint8_t root[static HASH_BYTES], uint64_t bytes, bool *here)
{
    struct lane *lane = lane_of(intake, site);
    // It is asked for, as the site may have announced it before we knew of it.
    struct receiver_settings settings = {
        .max_bytes = bytes, .bytes = &bytes, .root = root, .fetch = true, .window = intake->window};
    char name[NAME_BYTES];
    int fd = -1;

    if (lane == NULL)
        return CHOIR_ERR_FORMAT;
    *here = false;
    if (lane->receiver != NULL && memcmp(lane->root, root, HASH_BYTES) == 0)
        return CHOIR_OK; // already coming in
    stop_receiving(intake, lane);
    if (memcmp(lane->root, root, HASH_BYTES) != 0)
        forget_vector(intake, lane, site);
    memcpy(lane->root, root, HASH_BYTES);
    if (intake_file(intake, site, root, &fd) == CHOIR_OK) {
        close(fd);
        if (fsync(intake->folder) != 0) // a crash may have come between its renaming and this
            return CHOIR_ERR_IO;
        *here = lane->whole = lane->kept = lane->done_due = true;
        return CHOIR_OK;
    }
    spool_name(name, site, root, ".part");
    lane->fd = openat(intake->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (lane->fd < 0)
        return CHOIR_ERR_IO;
    memcpy(settings.id, root, HASH_BYTES);
    settings.fd = lane->fd;
    return receiver_new(&settings, &lane->receiver);
}

void intake_drop(struct intake *intake, uint32_t site)
{
    struct lane *lane = lane_of(intake, site);

    if (lane == NULL)
        return;
    if (lane->receiver != NULL) {
        char name[NAME_BYTES];

        spool_name(name, site, lane->root, ".part");
        unlinkat(intake->folder, name, 0);
    }
    stop_receiving(intake, lane);
}

void intake_serve(struct intake *intake, const struct source *source)
{
    intake->source = source;
    for (size_t i = 0; i < LANES; i++)
        stop_sending(intake, &intake->lane[i]);
}

void intake_reopen(struct intake *intake, uint32_t site)
{
    struct lane *lane = lane_of(intake, site);

    if (lane == NULL)
        return;
    if (lane->receiver != NULL)
        receiver_reopen(lane->receiver);
    stop_sending(intake, lane); // the site fetches again and says what is missing
}

// The spool file gets its final name only when its bytes are durable.
static enum choir_err finish(struct intake *intake, struct lane *lane, uint32_t site)
{
    char part[NAME_BYTES], name[NAME_BYTES];

    spool_name(part, site, lane->root, ".part");
    spool_name(name, site, lane->root, "");
    if (fsync(lane->fd) != 0 || renameat(intake->folder, part, intake->folder, name) != 0 ||
        fsync(intake->folder) != 0)
        return CHOIR_ERR_IO;
    stop_receiving(intake, lane); // a descriptor less
    lane->whole = lane->kept = lane->done_due = true;
    return CHOIR_OK;
}

static enum choir_err take_for_receiver(struct intake *intake, struct lane *lane, uint32_t site,
                                        const struct bulk_message *message, uint64_t now_ms,
                                        enum intake_news *news)
{
    enum choir_err err = receiver_take(lane->receiver, message, now_ms);

    if (err != CHOIR_OK)
        return err;
    turns_news(&lane->receiving, now_ms);
    if (message->kind == BULK_DATA)
        *news = INTAKE_CAME;
    if (receiver_state(lane->receiver) == TRANSFER_DONE) {
        err = finish(intake, lane, site);
        if (err == CHOIR_OK)
            *news = INTAKE_WHOLE;
    }
    return err;
}

static enum choir_err take_for_sender(struct intake *intake, struct lane *lane,
                                      const struct bulk_message *message, uint64_t now_ms)
{
    enum choir_err err = sender_take(lane->sender, message, now_ms);

    turns_news(&lane->sending, now_ms);
    if (sender_state(lane->sender) == TRANSFER_DONE)
        turns_end(&intake->senders, &lane->sending);
    return err;
}

enum choir_err intake_take(struct intake *intake, uint32_t site, const struct bulk_message *message,
                           uint64_t now_ms, enum intake_news *news)
{
    struct lane *lane = lane_of(intake, site);

    *news = INTAKE_NOTHING;
    if (lane == NULL)
        return CHOIR_ERR_PEER;
    if (lane->whole && memcmp(message->id, lane->root, HASH_BYTES) == 0) {
        lane->done_due = true; // the first DONE was lost, or this message is late
        return CHOIR_OK;
    }
    if (lane->receiver != NULL && memcmp(message->id, lane->root, HASH_BYTES) == 0)
        return take_for_receiver(intake, lane, site, message, now_ms, news);
    if (intake->source == NULL || memcmp(message->id, source_id(intake->source), HASH_BYTES) != 0)
        return CHOIR_ERR_PEER;
    if (lane->sender == NULL) {
        enum choir_err err = sender_new(intake->source, true, &lane->sender);

        if (err != CHOIR_OK)
            return err;
    }
    return take_for_sender(intake, lane, message, now_ms);
}

static void make_done(struct lane *lane, uint8_t *to, size_t max, size_t *len)
{
    struct bulk_message message = {.kind = BULK_DONE};

    memcpy(message.id, lane->root, HASH_BYTES);
    bulk_encode(&message, to, max, len);
    lane->done_due = false;
}

enum choir_err intake_next(struct intake *intake, uint32_t site, uint64_t now_ms, uint8_t *to,
                           size_t max, size_t *len)
{
    struct lane *lane = lane_of(intake, site);
    enum choir_err err = CHOIR_ERR_AGAIN;

    if (lane == NULL)
        return err;
    lane->last_was_sender = false;
    if (lane->done_due) {
        make_done(lane, to, max, len);
        return CHOIR_OK;
    }
    if (lane->receiver != NULL && turns_take(&intake->receivers, &lane->receiving, now_ms))
        err = receiver_next(lane->receiver, now_ms, to, max, len);
    if (err != CHOIR_ERR_AGAIN || lane->sender == NULL ||
        sender_state(lane->sender) == TRANSFER_DONE ||
        !turns_take(&intake->senders, &lane->sending, now_ms))
        return err;
    lane->last_was_sender = true;
    return sender_next(lane->sender, now_ms, to, max, len);
}

void intake_unsent(struct intake *intake, uint32_t site)
{
    struct lane *lane = lane_of(intake, site);

    if (lane == NULL)
        return;
    if (lane->last_was_sender && lane->sender != NULL)
        sender_unsent(lane->sender);
    else if (lane->whole)
        lane->done_due = true;
    else if (lane->receiver != NULL)
        receiver_unsent(lane->receiver);
}

/* Who may stay. */
struct sifting {
    const struct intake *intake;
    const struct site_set *sites;
    enum choir_err err;
};

// Of a site in the sum its newest vector alone stays; the name says whose it is.
static enum choir_err sift_one(void *context, const char *name)
{
    struct sifting *sifting = context;
    unsigned long site = strtoul(name, NULL, 10);

    if (site < LANES && site_set_has(sifting->sites, (uint32_t)site)) {
        const struct lane *lane = &sifting->intake->lane[site];
        char newest[NAME_BYTES];

        if (!lane->kept) // after a restart: it is not known yet which one that is
            return CHOIR_OK;
        spool_name(newest, (uint32_t)site, lane->root, "");
        if (strcmp(name, newest) == 0)
            return CHOIR_OK;
    }
    if (unlinkat(sifting->intake->folder, name, 0) != 0 && errno != ENOENT)
        sifting->err = CHOIR_ERR_IO;
    return CHOIR_OK;
}

enum choir_err intake_keep_only(struct intake *intake, const struct site_set *sites)
{
    struct sifting sifting = {.intake = intake, .sites = sites};
    enum choir_err err;

    for (uint32_t site = 0; site < LANES; site++) {
        if (site_set_has(sites, site))
            continue;
        stop_receiving(intake, &intake->lane[site]);
        intake->lane[site].kept = false;
    }
    err = folder_each(intake->folder, sift_one, &sifting);
    return err == CHOIR_OK ? sifting.err : err;
}

enum choir_err intake_give(struct intake *intake, uint32_t site,
                           const uint8_t root[static HASH_BYTES], int folder, const char *name)
{
    struct lane *lane = lane_of(intake, site);
    char here[NAME_BYTES];

    if (lane == NULL)
        return CHOIR_ERR_MISSING;
    spool_name(here, site, root, "");
    if (renameat(intake->folder, here, folder, name) != 0)
        return errno == ENOENT ? CHOIR_ERR_MISSING : CHOIR_ERR_IO;
    if (memcmp(lane->root, root, HASH_BYTES) == 0)
        lane->kept = false;
    return CHOIR_OK;
}

static enum choir_err erase_one(void *context, const char *name)
{
    const struct intake *intake = context;

    unlinkat(intake->folder, name, 0);
    return CHOIR_OK;
}

void intake_clear(struct intake *intake)
{
    enum choir_err unread;

    for (size_t i = 0; i < LANES; i++) {
        stop_receiving(intake, &intake->lane[i]);
        intake->lane[i].kept = false;
    }
    unread = folder_each(intake->folder, erase_one, intake);
    (void)unread; // a vector that stays is not looked at: uploads are expected by their root
}
