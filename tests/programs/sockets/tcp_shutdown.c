// shutdown: half-closing each direction, end of file, EPIPE, poll's view of it.
#include "loopback.h"
#include <poll.h>

static int events(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    MUST(poll(&poller, 1, -1));
    return poller.revents;
}

int main(void)
{
    char content[16];
    int pair[2];
    tcp_pair(pair);
    CHECK(events(pair[1]) == POLLOUT);
    MUST(write(pair[0], "last", 4));
    SHOW(shutdown(pair[0], SHUT_WR));
    SHOW(send(pair[0], "x", 1, MSG_NOSIGNAL));
    SHOW(recv(pair[1], content, sizeof content, MSG_WAITALL));
    SHOW(read(pair[1], content, sizeof content));
    SHOW(read(pair[1], content, sizeof content));
    CHECK(events(pair[1]) == (POLLIN | POLLOUT | POLLRDHUP));
    // The other direction still works.
    SHOW(write(pair[1], "reply", 5));
    SHOW(read(pair[0], content, sizeof content));
    SHOW(shutdown(pair[1], SHUT_RDWR));
    SHOW(read(pair[0], content, sizeof content));
    CHECK(events(pair[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
    SHOW(shutdown(pair[1], 99));
    SHOW(shutdown(MUST(socket(AF_INET, SOCK_STREAM, 0)), SHUT_RD));

    // SHUT_RD gives end of file at once.
    int unix_pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair));
    SHOW(shutdown(unix_pair[0], SHUT_RD));
    SHOW(read(unix_pair[0], content, 1));
    SHOW(send(unix_pair[1], "x", 1, MSG_NOSIGNAL));
    return guest_status();
}
