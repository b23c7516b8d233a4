/* Key files, through a file in memory; costs within the bounds are lowered so that it is quick. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/keyfile.h"
#include "crypto/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { OPS_AT = 10, MEMORY_AT = 14, HEAD_BYTES = 22, MEMORY_MIN = 8192 };

static void lower_cost(uint8_t *file)
{
    if (get_u32(file + OPS_AT) <= KEYFILE_OPS_MAX)
        put_u32(file + OPS_AT, 1);
    if (get_u64(file + MEMORY_AT) <= KEYFILE_MEMORY_MAX)
        put_u64(file + MEMORY_AT, MEMORY_MIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t file[4096], *secret = NULL;
    char path[64];
    size_t secret_len = 0;
    int fd;

    if (rng_start() != CHOIR_OK || len > sizeof file)
        return 0;
    fd = memfd_create("keyfile", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    memcpy(file, data, len);
    if (len >= HEAD_BYTES)
        lower_cost(file);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fchmod(fd, 0600) == 0 && write(fd, file, len) == (ssize_t)len &&
        keyfile_open(path, "courier", "open sesame", &secret, &secret_len) == CHOIR_OK)
        keyfile_free(secret);
    close(fd);
    return 0;
}
