#include "node/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Everything here runs in a child, because a seal cannot be taken off again. */
typedef bool deed(int folder);

enum { DONE = 0, NOT_DONE = 1, NOT_SEALED = 2, NO_LANDLOCK = 3 };

static char folder_path[] = "/tmp/choir-seal-XXXXXX";
static char data_path[64];

static int make_folder(void **state)
{
    FILE *data;

    (void)state;
    if (mkdtemp(folder_path) == NULL)
        return -1;
    (void)snprintf(data_path, sizeof data_path, "%s/data.csv", folder_path);
    data = fopen(data_path, "w");
    return data == NULL || fputs("records\n", data) < 0 || fclose(data) != 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
    char made[80];

    (void)state;
    (void)snprintf(made, sizeof made, "%s/made", folder_path);
    (void)unlink(made);
    (void)unlink(data_path);
    return rmdir(folder_path);
}

// The exit status of a child that seals itself as `role` and then does `act`; or 256 + signal.
static int sealed(enum seal_role role, deed *act, bool needs_landlock)
{
    int status, folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = fork();

    if (pid == 0) {
        bool complete;

        if (seal_process(0) != CHOIR_OK ||
            seal_files(role == SEAL_VAULT ? folder : -1, &complete) != CHOIR_OK ||
            seal_calls(role, &folder, role == SEAL_VAULT ? 1 : 0) != CHOIR_OK)
            _exit(NOT_SEALED);
        if (needs_landlock && !complete)
            _exit(NO_LANDLOCK);
        _exit(act(folder) ? DONE : NOT_DONE);
    }
    close(folder);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The same with the system-call filter alone, as on a kernel without Landlock.
static int filtered(enum seal_role role, deed *act)
{
    int status, folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = fork();

    if (pid == 0) {
        if (seal_process(0) != CHOIR_OK ||
            seal_calls(role, &folder, role == SEAL_VAULT ? 1 : 0) != CHOIR_OK)
            _exit(NOT_SEALED);
        _exit(act(folder) ? DONE : NOT_DONE);
    }
    close(folder);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool opens_socket(int folder)
{
    (void)folder;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ||
           socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool opens_passwd(int folder)
{
    (void)folder;
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool opens_passwd_through_its_folder(int folder)
{
    return openat(folder, "/etc/passwd", O_RDONLY) >= 0 ||
           openat(folder, "../../etc/passwd", O_RDONLY) >= 0;
}

static bool writes_outside(int folder)
{
    return openat(folder, "/tmp/choir-seal-outside", O_WRONLY | O_CREAT, 0600) >= 0 ||
           open("/tmp/choir-seal-outside", O_WRONLY | O_CREAT, 0600) >= 0;
}

static bool writes_inside(int folder)
{
    int fd = openat(folder, "made.tmp", O_RDWR | O_CREAT, 0600);
    int dir = openat(folder, ".", O_RDONLY | O_DIRECTORY);

    return fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 &&
           renameat(folder, "made.tmp", folder, "made") == 0 && dir >= 0 && fsync(dir) == 0;
}

static bool opens_data(int folder)
{
    (void)folder;
    return open(data_path, O_RDONLY) >= 0 || openat(folder, "data.csv", O_RDONLY) >= 0;
}

static bool forks(int folder)
{
    (void)folder;
    return fork() >= 0;
}

static bool runs_a_program(int folder)
{
    char *const arguments[] = {NULL};

    (void)folder;
    return execve("/bin/true", arguments, arguments) == 0;
}

static bool traces_its_parent(int folder)
{
    (void)folder;
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool signals_its_parent(int folder)
{
    (void)folder;
    return kill(getppid(), 0) == 0;
}

static bool makes_code(int folder)
{
    // cppcheck-suppress invalidFunctionArg
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)folder;
    return page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ||
           mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool connects_outward(int folder)
{
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)folder;
    nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&nobody, sizeof nobody) != 0 &&
           errno == ECONNREFUSED;
}

static bool listens(int folder)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)folder;
    return bind(fd, (const struct sockaddr *)&any, sizeof any) == 0 || listen(fd, 1) == 0 ||
           socket(AF_INET, SOCK_DGRAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool uses_memory_files(int folder)
{
    int fd = memfd_create("model", MFD_CLOEXEC);
    char back = 0;

    (void)folder;
    return fd >= 0 && pwrite(fd, "x", 1, 0) == 1 && pread(fd, &back, 1, 0) == 1 && back == 'x';
}

static void *open_socket_in_thread(void *said)
{
    int *go = said;

    __atomic_store_n(go, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(go, __ATOMIC_ACQUIRE) != 2)
        (void)sched_yield();
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? said : NULL;
}

static void a_sealed_vault_cannot_open_a_socket(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_VAULT, opens_socket, false), NOT_DONE);
}

static void a_sealed_vault_cannot_open_a_file_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_VAULT, opens_passwd, false), NOT_DONE);
}

static void a_sealed_vault_cannot_leave_its_folder_by_a_path(void **state)
{
    int status = sealed(SEAL_VAULT, opens_passwd_through_its_folder, true);

    (void)state;
    if (status == NO_LANDLOCK)
        skip();
    assert_int_equal(status, NOT_DONE);
}

static void a_sealed_vault_cannot_write_outside(void **state)
{
    int status = sealed(SEAL_VAULT, writes_outside, true);

    (void)state;
    if (status == NO_LANDLOCK)
        skip();
    assert_int_equal(status, NOT_DONE);
}

static void a_sealed_vault_writes_in_its_folder(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_VAULT, writes_inside, false), DONE);
}

static void a_sealed_vault_starts_no_process_and_signals_none(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_VAULT, forks, false), NOT_DONE);
    assert_int_equal(sealed(SEAL_VAULT, signals_its_parent, false), NOT_DONE);
}

static void running_a_program_or_tracing_ends_a_sealed_process(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_VAULT, runs_a_program, false), 256 + SIGSYS);
    assert_int_equal(sealed(SEAL_VAULT, traces_its_parent, false), 256 + SIGSYS);
    assert_int_equal(sealed(SEAL_COURIER, runs_a_program, false), 256 + SIGSYS);
    assert_int_equal(sealed(SEAL_COURIER, traces_its_parent, false), 256 + SIGSYS);
}

static void a_sealed_process_makes_no_new_code(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_VAULT, makes_code, false), NOT_DONE);
    assert_int_equal(sealed(SEAL_COURIER, makes_code, false), NOT_DONE);
}

static void a_sealed_courier_cannot_open_the_data_file(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_COURIER, opens_data, false), NOT_DONE);
    assert_int_equal(sealed(SEAL_COURIER, opens_passwd, false), NOT_DONE);
    assert_int_equal(sealed(SEAL_COURIER, writes_inside, false), NOT_DONE);
}

static void the_filter_alone_keeps_a_courier_from_every_file(void **state)
{
    (void)state;
    assert_int_equal(filtered(SEAL_COURIER, opens_data), NOT_DONE);
    assert_int_equal(filtered(SEAL_COURIER, writes_inside), NOT_DONE);
    assert_int_equal(filtered(SEAL_VAULT, opens_passwd), NOT_DONE);
    assert_int_equal(filtered(SEAL_VAULT, writes_inside), DONE);
}

static void a_sealed_courier_connects_outward_and_only_that(void **state)
{
    (void)state;
    assert_int_equal(sealed(SEAL_COURIER, connects_outward, false), DONE);
    assert_int_equal(sealed(SEAL_COURIER, listens, false), NOT_DONE);
    assert_int_equal(sealed(SEAL_COURIER, forks, false), NOT_DONE);
    assert_int_equal(sealed(SEAL_COURIER, uses_memory_files, false), DONE);
}

static void the_seal_holds_for_threads_that_run_already(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        pthread_t thread;
        void *opened = NULL;
        int go = 0;

        if (pthread_create(&thread, NULL, open_socket_in_thread, &go) != 0)
            _exit(NOT_SEALED);
        while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) == 0)
            (void)sched_yield();
        if (seal_calls(SEAL_VAULT, NULL, 0) != CHOIR_OK)
            _exit(NOT_SEALED);
        __atomic_store_n(&go, 2, __ATOMIC_RELEASE);
        (void)pthread_join(thread, &opened);
        _exit(opened == NULL ? DONE : NOT_DONE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_vault_cannot_open_a_socket),
        cmocka_unit_test(a_sealed_vault_cannot_open_a_file_elsewhere),
        cmocka_unit_test(a_sealed_vault_cannot_leave_its_folder_by_a_path),
        cmocka_unit_test(a_sealed_vault_cannot_write_outside),
        cmocka_unit_test(a_sealed_vault_writes_in_its_folder),
        cmocka_unit_test(a_sealed_vault_starts_no_process_and_signals_none),
        cmocka_unit_test(running_a_program_or_tracing_ends_a_sealed_process),
        cmocka_unit_test(a_sealed_process_makes_no_new_code),
        cmocka_unit_test(a_sealed_courier_cannot_open_the_data_file),
        cmocka_unit_test(the_filter_alone_keeps_a_courier_from_every_file),
        cmocka_unit_test(a_sealed_courier_connects_outward_and_only_that),
        cmocka_unit_test(the_seal_holds_for_threads_that_run_already),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
