/* memory_file - test help: text as an open descriptor. */
#ifndef CHOIR_TESTS_TRAIN_MEMORY_FILE_H
#define CHOIR_TESTS_TRAIN_MEMORY_FILE_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int memory_file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    if (fd >= 0 && write(fd, bytes, len) != (ssize_t)len) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static inline int memory_file(const char *text)
{
    return memory_file_of(text, strlen(text));
}

#endif
