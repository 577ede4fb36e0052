// getsockopt, setsockopt: defaults, setting, sizes, refusals.
#include "loopback.h"

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) ? -errno : value;
}

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

int main(void)
{
    address where;
    int fd = bound_socket(SOCK_STREAM, &where);
    CHECK(get(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
    CHECK(get(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET);
    CHECK(get(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
    SHOW(get(fd, SOL_SOCKET, SO_ERROR));
    SHOW(get(fd, SOL_SOCKET, SO_ACCEPTCONN));
    SHOW(get(fd, SOL_SOCKET, SO_REUSEADDR));
    SHOW(set(fd, SOL_SOCKET, SO_REUSEADDR, 7));
    SHOW(get(fd, SOL_SOCKET, SO_REUSEADDR));
    SHOW(set(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
    SHOW(get(fd, SOL_SOCKET, SO_KEEPALIVE));
    // The kernel doubles a buffer size for its bookkeeping.
    SHOW(set(fd, SOL_SOCKET, SO_RCVBUF, 20000));
    SHOW(get(fd, SOL_SOCKET, SO_RCVBUF));
    SHOW(set(fd, SOL_SOCKET, SO_SNDBUF, 30000));
    SHOW(get(fd, SOL_SOCKET, SO_SNDBUF));

    SHOW(get(fd, IPPROTO_TCP, TCP_NODELAY));
    SHOW(set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
    SHOW(get(fd, IPPROTO_TCP, TCP_NODELAY));
    SHOW(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30));
    SHOW(get(fd, IPPROTO_TCP, TCP_KEEPIDLE));
    SHOW(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0));
    SHOW(listen(fd, 1));
    SHOW(get(fd, SOL_SOCKET, SO_ACCEPTCONN));

    struct linger linger = {1, 5};
    socklen_t size = sizeof linger;
    SHOW(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, size));
    linger = (struct linger){0};
    SHOW(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size));
    printf("%d %d\n", linger.l_onoff, linger.l_linger);
    char byte = 0;
    size = 1;
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &byte, &size));
    printf("size=%u value=%d\n", size, byte);
    SHOW(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &byte, 1));
    SHOW(set(fd, SOL_SOCKET, SO_TYPE, 1));
    SHOW(set(fd, SOL_SOCKET, 9999, 1));
    SHOW(set(fd, 9999, 1, 1));
    SHOW(set(0, SOL_SOCKET, SO_REUSEADDR, 1));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, guest_bad_pointer(), 4));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &byte, guest_bad_pointer()));
    return guest_status();
}
