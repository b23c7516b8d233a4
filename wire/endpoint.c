#include "wire/endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char scheme[] = "tcp://";

struct parts {
    char host[ROSTER_ENDPOINT_MAX]; // without brackets
    char port[ROSTER_ENDPOINT_MAX];
    bool bracketed;
};

static bool split(const char *endpoint, struct parts *parts)
{
    const char *host = endpoint + sizeof scheme - 1;
    const char *colon = strrchr(endpoint, ':');
    size_t host_len;

    if (strlen(endpoint) >= ROSTER_ENDPOINT_MAX ||
        strncmp(endpoint, scheme, sizeof scheme - 1) != 0 || colon <= host)
        return false;
    host_len = (size_t)(colon - host);
    parts->bracketed = host[0] == '[';
    if (parts->bracketed) {
        if (host_len < 3 || host[host_len - 1] != ']')
            return false;
        host++;
        host_len -= 2;
    }
    memcpy(parts->host, host, host_len);
    parts->host[host_len] = '\0';
    snprintf(parts->port, sizeof parts->port, "%s", colon + 1);
    return true;
}

static bool port_is_number(const char *port)
{
    size_t len = strspn(port, "0123456789");
    unsigned long number = strtoul(port, NULL, 10);

    return len > 0 && len <= 5 && port[len] == '\0' && number > 0 && number <= UINT16_MAX;
}

static bool host_is_number(const struct parts *parts)
{
    uint8_t address[sizeof(struct in6_addr)];

    return inet_pton(parts->bracketed ? AF_INET6 : AF_INET, parts->host, address) == 1;
}

bool endpoint_is_numeric(const char *endpoint)
{
    struct parts parts;

    return split(endpoint, &parts) && host_is_number(&parts) && port_is_number(parts.port);
}

bool endpoint_is_listenable(const char *endpoint)
{
    struct parts parts;

    return split(endpoint, &parts) &&
           (host_is_number(&parts) || (!parts.bracketed && strcmp(parts.host, "*") == 0)) &&
           (port_is_number(parts.port) || strcmp(parts.port, "*") == 0);
}

enum choir_err endpoint_resolve(const char *endpoint, char to[static ROSTER_ENDPOINT_MAX])
{
    enum choir_err err = CHOIR_ERR_MISSING;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char number[INET6_ADDRSTRLEN];
    struct parts parts;

    if (!split(endpoint, &parts) || !port_is_number(parts.port))
        return CHOIR_ERR_FORMAT;
    if (host_is_number(&parts)) {
        memcpy(to, endpoint, strlen(endpoint) + 1);
        return CHOIR_OK;
    }
    if (parts.bracketed)
        return CHOIR_ERR_FORMAT;
    if (getaddrinfo(parts.host, parts.port, &hints, &found) != 0)
        return CHOIR_ERR_MISSING;
    if (getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof number, NULL, 0,
                    NI_NUMERICHOST) == 0) {
        int len;

        if (found->ai_family == AF_INET6)
            len = snprintf(to, ROSTER_ENDPOINT_MAX, "tcp://[%s]:%s", number, parts.port);
        else
            len = snprintf(to, ROSTER_ENDPOINT_MAX, "tcp://%s:%s", number, parts.port);
        if (len > 0 && len < ROSTER_ENDPOINT_MAX && endpoint_is_numeric(to))
            err = CHOIR_OK;
    }
    freeaddrinfo(found);
    return err;
}

void endpoint_local(const char *endpoint, char to[static ROSTER_ENDPOINT_MAX])
{
    struct parts parts;
    const char *host;
    int len;

    if (!split(endpoint, &parts)) {
        to[0] = '\0';
        return;
    }
    host = parts.host;
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    if (parts.bracketed)
        len = snprintf(to, ROSTER_ENDPOINT_MAX, "tcp://[%s]:%s", host, parts.port);
    else
        len = snprintf(to, ROSTER_ENDPOINT_MAX, "tcp://%s:%s", host, parts.port);
    if (len < 0 || len >= ROSTER_ENDPOINT_MAX)
        to[0] = '\0';
}
