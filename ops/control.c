#include "ops/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"

enum { HEAD_BYTES = 5, BACKLOG = 8 };

static enum choir_err address_of(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((size_t)snprintf(address->sun_path, sizeof address->sun_path, "%s", path) >=
        sizeof address->sun_path)
        return CHOIR_ERR_FORMAT;
    return CHOIR_OK;
}

static enum choir_err limit_waiting(int fd)
{
    const struct timeval limit = {.tv_sec = CONTROL_TIMEOUT_MS / 1000,
                                  .tv_usec = (suseconds_t)CONTROL_TIMEOUT_MS % 1000 * 1000};

    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
        return CHOIR_ERR_IO;
    return CHOIR_OK;
}

enum choir_err control_listen(const char *path, int *fd)
{
    struct sockaddr_un address;
    enum choir_err err = address_of(path, &address);
    mode_t mask;
    int made, bound;

    if (err != CHOIR_OK)
        return err;
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        return CHOIR_ERR_IO;
    unlink(path);
    mask = umask(0177); // the file is born with mode 0600
    bound = bind(made, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (bound != 0 || listen(made, BACKLOG) != 0) {
        close(made);
        return CHOIR_ERR_IO;
    }
    *fd = made;
    return CHOIR_OK;
}

enum choir_err control_accept(int listening, int *fd)
{
    int client = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0)
        return CHOIR_ERR_IO;
    if (limit_waiting(client) != CHOIR_OK) {
        close(client);
        return CHOIR_ERR_IO;
    }
    *fd = client;
    return CHOIR_OK;
}

enum choir_err control_connect(const char *path, int *fd)
{
    struct sockaddr_un address;
    enum choir_err err = address_of(path, &address);
    int made;

    if (err != CHOIR_OK)
        return err;
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        return CHOIR_ERR_IO;
    if (connect(made, (const struct sockaddr *)&address, sizeof address) != 0) {
        err = errno == ENOENT || errno == ECONNREFUSED ? CHOIR_ERR_MISSING : CHOIR_ERR_IO;
        close(made);
        return err;
    }
    *fd = made;
    return CHOIR_OK;
}

static enum choir_err send_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return CHOIR_ERR_PEER;
        bytes += sent;
        len -= (size_t)sent;
    }
    return CHOIR_OK;
}

enum choir_err control_send(int fd, enum control_kind kind, const void *payload, size_t len)
{
    uint8_t head[HEAD_BYTES];
    enum choir_err err;

    if (len > CONTROL_FRAME_MAX)
        return CHOIR_ERR_FORMAT;
    put_u32(head, (uint32_t)len);
    head[4] = (uint8_t)kind;
    err = send_all(fd, head, sizeof head);
    return err != CHOIR_OK ? err : send_all(fd, payload, len);
}

static enum choir_err receive_all(int fd, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t got = recv(fd, bytes, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CHOIR_ERR_PEER;
        bytes += got;
        len -= (size_t)got;
    }
    return CHOIR_OK;
}

enum choir_err control_receive(int fd, enum control_kind *kind, uint8_t **payload, size_t *len)
{
    uint8_t head[HEAD_BYTES];
    uint8_t *bytes = NULL;
    size_t length;
    enum choir_err err = receive_all(fd, head, sizeof head);

    if (err != CHOIR_OK)
        return err;
    length = get_u32(head);
    if (length > CONTROL_FRAME_MAX)
        return CHOIR_ERR_FORMAT;
    bytes = malloc(length + 1);
    if (bytes == NULL)
        return CHOIR_ERR_MEMORY;
    err = receive_all(fd, bytes, length);
    if (err != CHOIR_OK) {
        free(bytes);
        return err;
    }
    bytes[length] = 0;
    *kind = (enum control_kind)head[4];
    *payload = bytes;
    *len = length;
    return CHOIR_OK;
}
