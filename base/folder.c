#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum choir_err folder_make(const char *path)
{
    char prefix[PATH_MAX];

    if ((size_t)snprintf(prefix, sizeof prefix, "%s", path) >= sizeof prefix)
        return CHOIR_ERR_IO;
    for (char *at = prefix + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(prefix, 0700) != 0 && errno != EEXIST)
            return CHOIR_ERR_IO;
        *at = '/';
    }
    return mkdir(prefix, 0700) == 0 || errno == EEXIST ? CHOIR_OK : CHOIR_ERR_IO;
}

enum choir_err folder_path(char path[static PATH_MAX], const char *dir, const char *name)
{
    return (size_t)snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? CHOIR_OK
                                                                           : CHOIR_ERR_FORMAT;
}

enum choir_err folder_each(int fd, folder_visit *visit, void *context)
{
    enum choir_err err = CHOIR_OK;
    const struct dirent *item;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); // closed with the listing; a sealed vault may do it
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);

    if (listing == NULL) {
        if (copy >= 0)
            close(copy);
        return CHOIR_ERR_IO;
    }
    rewinddir(listing);
    // cppcheck-suppress readdirCalled ; a stream of its own
    while (err == CHOIR_OK && (item = readdir(listing)) != NULL) // NOLINT(concurrency-mt-unsafe)
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            err = visit(context, item->d_name);
    closedir(listing);
    return err;
}
