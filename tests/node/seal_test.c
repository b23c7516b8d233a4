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
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/locked.h"
#include "crypto/maskset.h"
#include "crypto/rng.h"
#include "node/home.h"

/* Everything here runs in a child, because a seal cannot be taken off again. */
typedef bool deed(int folder);

enum { DONE = 0, NOT_DONE = 1, NOT_SEALED = 2, NO_LANDLOCK = 3 };

static char folder_path[] = "/tmp/choir-seal-XXXXXX";
static char data_path[64];
static int scratch; // of a courier

static int make_folder(void **state)
{
    FILE *data;

    (void)state;
    if (mkdtemp(folder_path) == NULL || rng_start() != CHOIR_OK)
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

// What a courier does for secure aggregation: secrets in locked memory, every suite of masks, and
// the file that it was handed before it was sealed.
static bool masks_into_its_scratch_file(int folder)
{
    struct maskset *set = NULL;
    bool done = true;

    (void)folder;
    for (uint32_t suite = MASK_AES256; suite <= MASK_CHACHA20; suite++) {
        uint8_t *lanes = locked_new(4096);
        struct mask *worker = NULL;

        if (lanes == NULL || maskset_new((uint16_t)suite, 1, &set) != CHOIR_OK ||
            mask_open((uint16_t)suite, &worker) != CHOIR_OK)
            return false;
        maskset_add(set, MASK_ADD, lanes);
        maskset_apply(set, worker, 0, 32, 0, lanes, 4096);
        done = done && ftruncate(scratch, 0) == 0 && pwrite(scratch, lanes, 4096, 0) == 4096 &&
               pread(scratch, lanes, 4096, 0) == 4096 && ftruncate(scratch, 0) == 0;
        mask_close(worker);
        maskset_free(set);
        locked_free(lanes);
    }
    return done;
}

// True if the call was let through: then the test fails, whatever it came to.
static bool passes(long result)
{
    return result >= 0 || errno != EPERM;
}

// Other ways to a file, to code, to another process, to the kernel, than those tried above.
static bool finds_another_way(int folder)
{
    const uint64_t how[3] = {0};
    struct iovec nothing = {0};
    char room[256] = {0};
    int got = 0;

    got += passes(syscall(SYS_openat2, AT_FDCWD, data_path, how, sizeof how));
    got += passes(syscall(SYS_openat, AT_FDCWD, "/proc/self/fd/0", O_RDONLY));
    got += passes(syscall(SYS_openat, AT_FDCWD, "/proc/1/mem", O_RDONLY));
    got += passes(syscall(SYS_name_to_handle_at, folder, "", room, room, AT_EMPTY_PATH));
    got += passes(syscall(SYS_open_by_handle_at, folder, room, O_RDONLY));
    got += passes(syscall(SYS_open_tree, folder, "", AT_EMPTY_PATH));
    got += passes(syscall(SYS_link, data_path, "/tmp/choir-seal-linked"));
    got += passes(syscall(SYS_symlink, data_path, "/tmp/choir-seal-linked"));
    got += passes(syscall(SYS_truncate, data_path, 0L));
    got += passes(syscall(SYS_chmod, data_path, 0666));
    got += passes(syscall(SYS_chroot, "/"));
    got += passes(syscall(SYS_mount, "none", "/tmp", "tmpfs", 0L, NULL));
    got += passes(syscall(SYS_unshare, 0x10000000));
    got += passes(syscall(SYS_io_uring_setup, 1, room));
    got += passes(syscall(SYS_userfaultfd, 0));
    got += passes(syscall(SYS_perf_event_open, room, 0, -1, -1, 0));
    got += passes(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    got += passes(syscall(SYS_add_key, "user", "x", "y", 1L, -3));
    got += passes(syscall(SYS_pidfd_open, getppid(), 0));
    got += passes(syscall(SYS_pidfd_getfd, folder, 0, 0));
    got += passes(syscall(SYS_kcmp, getppid(), getppid(), 0, 0, 0));
    got += passes(syscall(SYS_prctl, 4, 1, 0, 0, 0)); // PR_SET_DUMPABLE
    got += passes(syscall(SYS_seccomp, 1, 0, room));
    got += passes(syscall(SYS_personality, 0x0400000)); // READ_IMPLIES_EXEC
    got += passes(syscall(SYS_pkey_mprotect, room, 0L, PROT_EXEC, -1));
    got += passes(syscall(SYS_shmat, 0, NULL, 0));
    got += passes(syscall(SYS_remap_file_pages, room, 0L, PROT_EXEC, 0L, 0));
    got += passes(syscall(SYS_vmsplice, folder, &nothing, 1L, 0));
    got += passes(syscall(SYS_ioctl, 0, 0x5412, room)); // TIOCSTI
    got += passes(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, room));
    got += passes(syscall(SYS_kill, getppid(), 0));
    got += passes(syscall(SYS_rt_sigqueueinfo, getppid(), 0, room));
    got += passes(syscall(SYS_tgkill, getppid(), getppid(), 0));
    got += passes(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L));
    got += passes(syscall(SYS_vfork));
    got += passes(syscall(SYS_setuid, 0));
    return got > 0;
}

// The kernel sends a signal of choice for readable bytes to whoever is named the owner.
static bool signals_through_a_descriptor(int folder)
{
    int fd = memfd_create("bell", MFD_CLOEXEC);

    (void)folder;
    return fd < 0 || passes(fcntl(fd, F_SETOWN, getppid())) ||
           passes(fcntl(fd, F_SETSIG, SIGKILL)) || passes(fcntl(fd, F_SETLEASE, F_RDLCK)) ||
           passes(fcntl(fd, F_NOTIFY, 1));
}

static bool runs_a_memory_file(int folder)
{
    char *const none[] = {NULL};
    int fd = memfd_create("code", MFD_CLOEXEC);

    (void)folder;
    return write(fd, "#!/bin/true\n", 12) == 12 && fexecve(fd, none, none) == 0;
}

static bool reads_its_parent(int folder)
{
    char room[8];
    struct iovec here = {room, sizeof room}, there = {room, sizeof room};

    (void)folder;
    return syscall(SYS_process_vm_readv, getppid(), &here, 1L, &there, 1L, 0L) >= 0;
}

static bool writes_its_parent(int folder)
{
    char room[8] = {0};
    struct iovec here = {room, sizeof room}, there = {room, sizeof room};

    (void)folder;
    return syscall(SYS_process_vm_writev, getppid(), &here, 1L, &there, 1L, 0L) >= 0;
}

static bool loads_a_program_into_the_kernel(int folder)
{
    char room[128] = {0};

    (void)folder;
    return syscall(SYS_bpf, 0, room, sizeof room) >= 0;
}

static bool speaks_to_the_kernel(int folder)
{
    (void)folder;
    return socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || socket(AF_PACKET, SOCK_RAW, 0) >= 0 ||
           socket(AF_INET, SOCK_RAW, 1) >= 0 || socket(AF_VSOCK, SOCK_STREAM, 0) >= 0 ||
           socket(AF_ALG, SOCK_SEQPACKET, 0) >= 0;
}

static bool reaches_memory_through_its_folder(int folder)
{
    return openat(folder, "/proc/self/mem", O_RDWR) >= 0 ||
           openat(folder, "/proc/self/fd/0", O_RDONLY) >= 0 ||
           openat(folder, "/dev/mem", O_RDONLY) >= 0 ||
           openat(folder, "/proc/self/root/etc/passwd", O_RDONLY) >= 0;
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

static void a_sealed_process_finds_no_other_way_out(void **state)
{
    (void)state;
    for (int role = SEAL_VAULT; role <= SEAL_COURIER; role++) {
        assert_int_equal(sealed((enum seal_role)role, finds_another_way, false), NOT_DONE);
        assert_int_equal(filtered((enum seal_role)role, finds_another_way), NOT_DONE);
        assert_int_equal(sealed((enum seal_role)role, signals_through_a_descriptor, false),
                         NOT_DONE);
        assert_int_equal(sealed((enum seal_role)role, speaks_to_the_kernel, false), NOT_DONE);
    }
}

static void what_only_an_intruder_calls_ends_a_sealed_process(void **state)
{
    deed *const acts[] = {runs_a_memory_file, reads_its_parent, writes_its_parent,
                          loads_a_program_into_the_kernel};

    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        assert_int_equal(sealed(SEAL_VAULT, acts[i], false), 256 + SIGSYS);
        assert_int_equal(sealed(SEAL_COURIER, acts[i], false), 256 + SIGSYS);
    }
}

static void a_sealed_vault_does_not_reach_memory_through_its_folder(void **state)
{
    int status = sealed(SEAL_VAULT, reaches_memory_through_its_folder, true);

    (void)state;
    if (status == NO_LANDLOCK)
        skip();
    assert_int_equal(status, NOT_DONE);
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

static void a_sealed_courier_masks_into_the_file_it_was_handed(void **state)
{
    int folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_int_equal(home_scratch(folder, &scratch), CHOIR_OK);
    close(folder);
    assert_int_equal(sealed(SEAL_COURIER, masks_into_its_scratch_file, false), DONE);
    assert_int_equal(filtered(SEAL_COURIER, masks_into_its_scratch_file), DONE);
    close(scratch);
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
        cmocka_unit_test(a_sealed_process_finds_no_other_way_out),
        cmocka_unit_test(what_only_an_intruder_calls_ends_a_sealed_process),
        cmocka_unit_test(a_sealed_vault_does_not_reach_memory_through_its_folder),
        cmocka_unit_test(a_sealed_process_makes_no_new_code),
        cmocka_unit_test(a_sealed_courier_cannot_open_the_data_file),
        cmocka_unit_test(the_filter_alone_keeps_a_courier_from_every_file),
        cmocka_unit_test(a_sealed_courier_connects_outward_and_only_that),
        cmocka_unit_test(a_sealed_courier_masks_into_the_file_it_was_handed),
        cmocka_unit_test(the_seal_holds_for_threads_that_run_already),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
