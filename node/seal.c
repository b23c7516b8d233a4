#include "node/seal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

// Newer than the header of Debian 12; the kernel is asked which of them it knows.
#define FS_TRUNCATE  (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)

enum { SOCKET_KIND = 0xf }; // of socket()'s type: the rest are flags
enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_IOCTL_DEV = 5 };

// Needed by both: memory, time, waiting, files that are open already, the end.
static const int common_calls[] = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fstat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(lseek),
    SCMP_SYS(madvise),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mlock),
    SCMP_SYS(mremap),
    SCMP_SYS(munlock),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(set_robust_list),
};

// The ledger, the outbox; looking at names (stat) shows no content.
static const int vault_calls[] = {
    SCMP_SYS(access),     SCMP_SYS(faccessat),  SCMP_SYS(fchmod),    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),      SCMP_SYS(fstatfs),    SCMP_SYS(fsync),     SCMP_SYS(getcwd),
    SCMP_SYS(getdents64), SCMP_SYS(geteuid),    SCMP_SYS(getuid),    SCMP_SYS(lstat),
    SCMP_SYS(stat),       SCMP_SYS(newfstatat), SCMP_SYS(fallocate),
};

// ZeroMQ: reconnecting, and waking its own threads, which may be just beginning (rseq).
static const int courier_calls[] = {
    SCMP_SYS(connect),        SCMP_SYS(epoll_create1),      SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),     SCMP_SYS(epoll_pwait),        SCMP_SYS(eventfd2),
    SCMP_SYS(getpeername),    SCMP_SYS(getsockname),        SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),     SCMP_SYS(shutdown),           SCMP_SYS(rseq),
    SCMP_SYS(sched_getparam), SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_getscheduler),
};

// Not F_SETOWN and F_SETSIG: they send signals to other processes of this user.
static const int fcntl_commands[] = {
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,  F_SETFD,     F_GETFL,     F_SETFL,
    F_GETLK, F_SETLK,         F_SETLKW, F_ADD_SEALS, F_GET_SEALS,
};

static const int deadly_calls[] = {
    SCMP_SYS(execve),           SCMP_SYS(execveat),          SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(bpf),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

// The bits `mask` of argument number `arg` are `value`. Descriptors and flags are ints: the kernel
// looks at the low 32 bits only, so they are all that is compared.
static struct scmp_arg_cmp where(unsigned arg, uint32_t mask, uint32_t value)
{
    return (struct scmp_arg_cmp){
        .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static struct scmp_arg_cmp equals(unsigned arg, int value)
{
    return where(arg, UINT32_MAX, (uint32_t)value);
}

static bool allow_all(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return false;
    return true;
}

static bool kill_all(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < COUNT(deadly_calls); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly_calls[i], 0) != 0)
            return false;
    return true;
}

static bool allow_fcntl(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < COUNT(fcntl_commands); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             equals(1, fcntl_commands[i])) != 0)
            return false;
    return true;
}

// Memory that can be run is never made again; signals go only to this process (abort()).
static bool allow_common(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_executable = where(2, PROT_EXEC, 0);
    const struct scmp_arg_cmp self = equals(0, getpid());

    return allow_all(filter, common_calls, COUNT(common_calls)) && allow_fcntl(filter) &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_executable) ==
               0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_executable) ==
               0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self) == 0;
}

static bool allow_in_folder(scmp_filter_ctx filter, int folder, const int *folders, size_t n)
{
    const struct scmp_arg_cmp here = equals(0, folder);

    if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, &here) != 0 ||
        seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(unlinkat), 1, &here) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct scmp_arg_cmp both[] = {here, equals(2, folders[i])};

        if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(renameat), 2, both) != 0 ||
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(renameat2), 2, both) != 0)
            return false;
    }
    return true;
}

static bool allow_vault(scmp_filter_ctx filter, const int *folders, size_t n)
{
    if (!allow_all(filter, vault_calls, COUNT(vault_calls)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!allow_in_folder(filter, folders[i], folders, n))
            return false;
    return true;
}

static bool allow_courier(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6};

    for (size_t i = 0; i < COUNT(families); i++) {
        const struct scmp_arg_cmp tcp[] = {
            equals(0, families[i]),
            where(1, SOCKET_KIND, SOCK_STREAM),
        };

        if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, tcp) != 0)
            return false;
    }
    // glibc's fstat() and nothing by name: newfstatat(fd, "", .., AT_EMPTY_PATH).
    return allow_all(filter, courier_calls, COUNT(courier_calls)) &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                            equals(3, AT_EMPTY_PATH)) == 0;
}

enum choir_err seal_calls(enum seal_role role, const int *folders, size_t n)
{
    enum choir_err err = CHOIR_ERR_IO;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    assert(n <= SEAL_FOLDERS_MAX);
    if (filter == NULL)
        return CHOIR_ERR_MEMORY;
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0)
        goto out;
    if (!allow_common(filter) || !kill_all(filter))
        goto out;
    if (role == SEAL_VAULT ? !allow_vault(filter, folders, n) : !allow_courier(filter))
        goto out;
    if (seccomp_load(filter) != 0)
        goto out;
    err = CHOIR_OK;
out:
    seccomp_release(filter);
    return err;
}

static uint64_t rights_known(long abi)
{
    uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

    if (abi >= ABI_REFER)
        all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= ABI_TRUNCATE)
        all |= FS_TRUNCATE;
    if (abi >= ABI_IOCTL_DEV)
        all |= FS_IOCTL_DEV;
    return all;
}

static bool allow_folder(int rules, int folder_fd, uint64_t known)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access =
            known & (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                     LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE),
        .parent_fd = folder_fd,
    };

    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
}

enum choir_err seal_files(int folder_fd, bool *complete)
{
    enum choir_err err = CHOIR_ERR_IO;
    struct landlock_ruleset_attr attr = {0};
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    int rules;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return CHOIR_ERR_IO;
    *complete = abi >= 1;
    if (abi < 1)
        return CHOIR_OK;
    attr.handled_access_fs = rights_known(abi);
    rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0)
        return CHOIR_ERR_IO;
    if (folder_fd >= 0 && !allow_folder(rules, folder_fd, attr.handled_access_fs))
        goto out;
    if (syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        goto out;
    err = CHOIR_OK;
out:
    close(rules);
    return err;
}

enum choir_err seal_process(int parent)
{
    const struct rlimit no_core = {0, 0};

    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return CHOIR_ERR_IO;
    if (parent == 0)
        return CHOIR_OK;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return CHOIR_ERR_IO;
    return getppid() == parent ? CHOIR_OK : CHOIR_ERR_IO;
}
