#include "node/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEND_TIMEOUT_MS = 10000, CARRIED_MAX = 4 };

union control_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CARRIED_MAX * sizeof(int))];
};

enum choir_err channel_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? CHOIR_OK
                                                                            : CHOIR_ERR_IO;
}

static enum choir_err wait_for(int end, short events, int timeout_ms)
{
    struct pollfd one = {.fd = end, .events = events};
    int n;

    do {
        n = poll(&one, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return CHOIR_ERR_IO;
    return n == 0 ? CHOIR_ERR_AGAIN : CHOIR_OK;
}

static void attach(struct msghdr *header, union control_room *room, int carried)
{
    struct cmsghdr *part;

    memset(room, 0, sizeof *room);
    header->msg_control = room->bytes;
    header->msg_controllen = CMSG_SPACE(sizeof(int));
    part = CMSG_FIRSTHDR(header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &carried, sizeof carried);
}

enum choir_err channel_send(int end, const void *message, size_t len, int carried)
{
    union control_room room;
    struct iovec piece = {.iov_len = len};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};

    memcpy(&piece.iov_base, &message, sizeof message); // sendmsg() does not write to it
    if (carried >= 0)
        attach(&header, &room, carried);
    for (;;) {
        ssize_t sent = sendmsg(end, &header, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
            return (size_t)sent == len ? CHOIR_OK : CHOIR_ERR_IO;
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
            return CHOIR_ERR_PEER;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return CHOIR_ERR_IO;
        if (wait_for(end, POLLOUT, SEND_TIMEOUT_MS) != CHOIR_OK)
            return CHOIR_ERR_PEER;
    }
}

// Takes all descriptors of a received message: the first one out, the rest closed and counted.
static size_t detach(struct msghdr *header, int *first)
{
    size_t n = 0;

    *first = -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
            if (n++ == 0)
                *first = fd;
            else
                close(fd);
        }
    }
    return n;
}

enum choir_err channel_take(int end, void *message, size_t len, int timeout_ms, int *carried)
{
    union control_room room;
    struct iovec piece = {.iov_base = message, .iov_len = len};
    struct msghdr header = {.msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof room.bytes};
    enum choir_err err = wait_for(end, POLLIN, timeout_ms);
    ssize_t got;
    int fd;

    if (err != CHOIR_OK)
        return err;
    got = recvmsg(end, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? CHOIR_ERR_AGAIN : CHOIR_ERR_PEER;
    if (detach(&header, &fd) > 1 || (size_t)got != len ||
        (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        if (fd >= 0)
            close(fd);
        return got == 0 && fd < 0 ? CHOIR_ERR_PEER : CHOIR_ERR_FORMAT;
    }
    *carried = fd;
    return CHOIR_OK;
}

enum choir_err channel_file(const void *bytes, size_t len, int *fd)
{
    const uint8_t *from = bytes;
    int file = memfd_create("choir", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (file < 0)
        return CHOIR_ERR_IO;
    while (len > 0) {
        ssize_t wrote = write(file, from, len);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            goto failed;
        from += wrote;
        len -= (size_t)wrote;
    }
    if (fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        goto failed;
    *fd = file;
    return CHOIR_OK;
failed:
    close(file);
    return CHOIR_ERR_IO;
}
