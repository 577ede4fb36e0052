// TCP and UDP over 127.0.0.1, on ports that the kernel chooses.
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include "../guest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

typedef struct sockaddr_in address;

static inline address any_port(void)
{
    return (address){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// A socket bound to a free port, which is stored.
static inline int bound_socket(int type, address *where)
{
    socklen_t size = sizeof *where;
    int fd = MUST(socket(AF_INET, type, 0));
    *where = any_port();
    MUST(bind(fd, (struct sockaddr *)where, size));
    MUST(getsockname(fd, (struct sockaddr *)where, &size));
    return fd;
}

static inline int listening_socket(int flags, address *where)
{
    int fd = bound_socket(SOCK_STREAM | flags, where);
    MUST(listen(fd, 16));
    return fd;
}

static inline int connect_to(int fd, const address *where)
{
    return connect(fd, (const struct sockaddr *)where, sizeof *where);
}

// Two connected TCP sockets: [0] connected, [1] was accepted.
static inline void tcp_pair(int pair[2])
{
    address where;
    int listener = listening_socket(0, &where);
    pair[0] = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect_to(pair[0], &where));
    pair[1] = MUST(accept(listener, NULL, NULL));
    MUST(close(listener));
}

#endif
