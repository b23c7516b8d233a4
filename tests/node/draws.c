/* Put before the crypto library of a courier (LD_PRELOAD): writes every random value that it draws
 * to the file CHOIR_TEST_DRAWS/PID, so that a test knows the secrets that nobody else may find.
 *
 * Each record is a u32 length, little-endian, and the bytes; 0x40000000 is added to the length if
 * not the first thread of the process drew them. Length 0xffffffff: the process has just made itself
 * undumpable, and 4 bytes follow that are 0 if that went well.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef void draw_bytes(void *to, size_t len);
typedef int control_process(int option, ...);

#define OTHER_THREAD UINT32_C(0x40000000)
#define UNDUMPABLE   UINT32_C(0xffffffff)

static draw_bytes *real_draw;
static control_process *real_control;
static int file = -1; // opened before the process is sealed

// Also when another library begins before this one.
static void find_real(void)
{
    void *found = dlsym(RTLD_NEXT, "randombytes_buf");

    memcpy(&real_draw, &found, sizeof real_draw);
    found = dlsym(RTLD_NEXT, "prctl");
    memcpy(&real_control, &found, sizeof real_control);
}

static int is_courier(void)
{
    char line[256] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof line - 1);

    if (fd >= 0)
        close(fd);
    return len > 0 && strcmp(line + strlen(line) + 1, "role-courier") == 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("CHOIR_TEST_DRAWS"); // NOLINT(concurrency-mt-unsafe)
    char path[4096];

    find_real();
    if (folder == NULL || !is_courier())
        return;
    (void)snprintf(path, sizeof path, "%s/%ld", folder, (long)getpid());
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void keep(uint32_t mark, const void *bytes, size_t len)
{
    uint8_t record[1024];

    if (file < 0 || len > sizeof record - sizeof mark)
        return;
    memcpy(record, &mark, sizeof mark);
    memcpy(record + sizeof mark, bytes, len);
    if (write(file, record, sizeof mark + len) < 0)
        abort();
}

void randombytes_buf(void *to, size_t len);
void randombytes_buf(void *to, size_t len)
{
    if (real_draw == NULL)
        find_real();
    real_draw(to, len);
    keep((uint32_t)len | (gettid() == getpid() ? 0 : OTHER_THREAD), to, len);
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's own names
int prctl(int option, ...)
{
    unsigned long argument[4];
    va_list list;
    int result;

    va_start(list, option);
    for (size_t i = 0; i < 4; i++)
        argument[i] = va_arg(list, unsigned long);
    va_end(list);
    if (real_control == NULL)
        find_real();
    result = real_control(option, argument[0], argument[1], argument[2], argument[3]);
    if (option == PR_SET_DUMPABLE)
        keep(UNDUMPABLE, &(uint32_t){(uint32_t)result | (uint32_t)argument[0]}, sizeof(uint32_t));
    return result;
}
