// An IPv6 listener that also takes IPv4: the client's address arrives mapped.
#include "loopback.h"

int main(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6}, peer;
    socklen_t size = sizeof any;
    int off = 0, on = 1, listener = socket(AF_INET6, SOCK_STREAM, 0);
    if (listener < 0 || setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) ||
        bind(listener, (struct sockaddr *)&any, size)) {
        puts("this host has no IPv6");
        return 0;
    }
    MUST(listen(listener, 4));
    MUST(getsockname(listener, (struct sockaddr *)&any, &size));
    CHECK(any.sin6_family == AF_INET6 && any.sin6_port != 0);
    SHOW(size);

    address where = any_port();
    where.sin_port = any.sin6_port;
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(connect_to(client, &where));
    int fd = MUST(accept(listener, (struct sockaddr *)&peer, &size));
    CHECK(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
    char text[INET6_ADDRSTRLEN];
    puts(inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text));
    SHOW(write(client, "x", 1));
    SHOW(read(fd, text, sizeof text));

    int only = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    SHOW(setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    SHOW(connect_to(only, &where));
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = any.sin6_port};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    SHOW(connect(only, (struct sockaddr *)&mapped, sizeof mapped));
    int both = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    SHOW(connect(both, (struct sockaddr *)&mapped, sizeof mapped));
    return guest_status();
}
