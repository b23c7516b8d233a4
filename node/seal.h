/* seal - a process gives up what it will not need again: files, sockets, new programs.
 *
 * Two layers, in this order: seal_files() takes the file system away (Landlock, where the kernel
 * has it) from this thread and the threads it starts; seal_calls() then leaves a short list of
 * system calls (seccomp) to all threads. Neither can be undone. What is not on the list fails
 * with EPERM; starting a program or touching another process ends the process at once.
 *
 *   vault:   no sockets at all; opens only relative to the given folders
 *   courier: TCP connections outward, nothing else; opens nothing
 *
 * A system-call filter cannot look into a path, so a sealed vault could still name an absolute
 * one; Landlock is what keeps it inside its folder. Without Landlock the seal is weaker and
 * seal_files() says so.
 */
#ifndef CHOIR_NODE_SEAL_H
#define CHOIR_NODE_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum seal_role { SEAL_VAULT, SEAL_COURIER };

enum { SEAL_FOLDERS_MAX = 8 };

/* From now on files can be opened only beneath the open folder `folder_fd`, or nowhere if it is
 * -1. Descriptors that are open stay usable. *complete is false if this kernel has no Landlock;
 * that is not an error. Call it while there is one thread. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err seal_files(int folder_fd, bool *complete);

/* Filters the system calls of all threads. folders[0..n), n <= SEAL_FOLDERS_MAX, are the
 * descriptors a vault may open files in; none for a courier. Fails with CHOIR_ERR_IO. */
CHOIR_MUST_CHECK enum choir_err seal_calls(enum seal_role role, const int *folders, size_t n);

/* Before anything secret is read: no core files, no debugger of the same user, no new
 * privileges, and, where `parent` is not 0, death when that process dies. Fails with
 * CHOIR_ERR_IO, also if `parent` is gone already. */
CHOIR_MUST_CHECK enum choir_err seal_process(int parent);

#endif
