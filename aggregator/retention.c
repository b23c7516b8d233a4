#include "aggregator/retention.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/hex.h"

enum {
    RUN_DIGITS = 2 * MESSAGE_RUN_BYTES,
    ROUND_DIGITS = 10,
    NAME_BYTES = RUN_DIGITS + 1 + 20 + 1, // RUN-ROUND
    FILE_BYTES = 2 * HASH_BYTES + 24,     // SITE-ROOT.masked
};

struct retention {
    int folder;
    uint32_t hours;
};

/* What is looked for among the rounds. */
struct survey {
    const struct retention *retention;
    uint64_t oldest, newest; // seconds since 1970
    char oldest_name[NAME_BYTES], newest_name[NAME_BYTES];
    size_t n;
    uint64_t before;  // rounds of an earlier time are erased
    const char *only; // every round but this one is erased; NULL: none is for its name
};

static enum choir_err erase_file(void *context, const char *name)
{
    unlinkat(*(const int *)context, name, 0);
    return CHOIR_OK;
}

static void erase_round(const struct retention *retention, const char *name)
{
    int fd = openat(retention->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum choir_err unread;

    if (fd < 0)
        return;
    unread = folder_each(fd, erase_file, &fd);
    (void)unread; // what stays is tried again
    close(fd);
    unlinkat(retention->folder, name, AT_REMOVEDIR);
}

// When the round was kept; false for what is not a round's folder.
static bool time_of(const struct retention *retention, const char *name, uint64_t *seconds)
{
    struct stat about;

    if (strlen(name) >= NAME_BYTES || strlen(name) < RUN_DIGITS + 2 || name[RUN_DIGITS] != '-' ||
        fstatat(retention->folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(about.st_mode))
        return false;
    *seconds = about.st_mtime < 0 ? 0 : (uint64_t)about.st_mtime;
    return true;
}

static enum choir_err survey_one(void *context, const char *name)
{
    struct survey *survey = context;
    uint64_t seconds;

    if (!time_of(survey->retention, name, &seconds))
        return CHOIR_OK;
    if (survey->n == 0 || seconds < survey->oldest) {
        survey->oldest = seconds;
        snprintf(survey->oldest_name, sizeof survey->oldest_name, "%s", name);
    }
    if (survey->n == 0 || seconds > survey->newest ||
        (seconds == survey->newest && strcmp(name, survey->newest_name) > 0)) {
        survey->newest = seconds;
        snprintf(survey->newest_name, sizeof survey->newest_name, "%s", name);
    }
    survey->n++;
    return CHOIR_OK;
}

static struct survey look(const struct retention *retention)
{
    struct survey survey = {.retention = retention};
    enum choir_err unread = folder_each(retention->folder, survey_one, &survey);

    (void)unread; // then there is nothing to erase
    return survey;
}

static enum choir_err erase_one(void *context, const char *name)
{
    const struct survey *survey = context;
    uint64_t seconds;

    if (time_of(survey->retention, name, &seconds) &&
        (seconds < survey->before || (survey->only != NULL && strcmp(name, survey->only) != 0)))
        erase_round(survey->retention, name);
    return CHOIR_OK;
}

static void erase_where(const struct retention *retention, uint64_t before, const char *only)
{
    struct survey survey = {.retention = retention, .before = before, .only = only};
    enum choir_err unread = folder_each(retention->folder, erase_one, &survey);

    (void)unread; // tried again when the next round is kept
}

void retention_expire(struct retention *retention, uint64_t now_unix)
{
    uint64_t kept = (uint64_t)retention->hours * 3600;

    if (retention->hours == 0) {
        struct survey survey = look(retention);

        if (survey.n > 1)
            erase_where(retention, 0, survey.newest_name);
    } else if (now_unix > kept) {
        erase_where(retention, now_unix - kept, NULL);
    }
}

enum choir_err retention_open(const char *folder, uint32_t hours, uint64_t now_unix,
                              struct retention **out)
{
    struct retention *retention = calloc(1, sizeof *retention);

    if (retention == NULL)
        return CHOIR_ERR_MEMORY;
    retention->hours = hours;
    retention->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (retention->folder < 0) {
        free(retention);
        return CHOIR_ERR_IO;
    }
    retention_expire(retention, now_unix);
    *out = retention;
    return CHOIR_OK;
}

void retention_close(struct retention *retention)
{
    if (retention == NULL)
        return;
    close(retention->folder);
    free(retention);
}

static enum choir_err take_all(int folder, const struct site_set *sites,
                               const uint8_t (*roots)[HASH_BYTES], retention_give *give,
                               void *context)
{
    enum choir_err err = CHOIR_OK, gone = CHOIR_OK;

    for (size_t i = 0; err == CHOIR_OK && i < sites->n; i++) {
        char name[FILE_BYTES], root[2 * HASH_BYTES + 1];

        hex_put(root, roots[i], HASH_BYTES);
        snprintf(name, sizeof name, "%u-%s.masked", sites->id[i], root);
        err = give(context, sites->id[i], roots[i], folder, name);
        if (err == CHOIR_ERR_MISSING) {
            gone = err;
            err = CHOIR_OK;
        }
    }
    return err != CHOIR_OK ? err : gone;
}

/* Bytes of a round's files. */
struct sizes {
    int folder;
    uint64_t bytes;
};

static enum choir_err add_size(void *context, const char *name)
{
    struct sizes *sizes = context;
    struct stat about;

    if (fstatat(sizes->folder, name, &about, AT_SYMLINK_NOFOLLOW) == 0)
        sizes->bytes += (uint64_t)about.st_size;
    return CHOIR_OK;
}

static bool is_full(const struct retention *retention, uint64_t round_bytes)
{
    struct statvfs disk;

    return fstatvfs(retention->folder, &disk) == 0 &&
           (uint64_t)disk.f_bavail * disk.f_frsize < round_bytes;
}

// The next round needs as much as this one.
static void make_room(const struct retention *retention, int folder)
{
    struct sizes sizes = {.folder = folder};
    enum choir_err unread = folder_each(folder, add_size, &sizes);

    (void)unread;
    while (is_full(retention, sizes.bytes)) {
        struct survey survey = look(retention);

        if (survey.n < 2)
            return;
        erase_round(retention, survey.oldest_name);
        if (look(retention).n == survey.n)
            return; // it cannot be erased
    }
}

enum choir_err retention_keep(struct retention *retention,
                              const uint8_t run[static MESSAGE_RUN_BYTES], uint64_t round,
                              const struct site_set *sites, const uint8_t (*roots)[HASH_BYTES],
                              retention_give *give, void *context, uint64_t now_unix)
{
    char name[NAME_BYTES], hex[RUN_DIGITS + 1];
    enum choir_err err;
    int folder;

    hex_put(hex, run, MESSAGE_RUN_BYTES);
    snprintf(name, sizeof name, "%s-%0*" PRIu64, hex, ROUND_DIGITS, round);
    if (retention->hours == 0)
        erase_where(retention, 0, name);
    else
        retention_expire(retention, now_unix);
    mkdirat(retention->folder, name, 0700);
    folder = openat(retention->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0)
        return CHOIR_ERR_IO;
    err = take_all(folder, sites, roots, give, context);
    if (retention->hours > 0)
        make_room(retention, folder);
    close(folder);
    return err;
}
