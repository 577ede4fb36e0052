// A connection that the peer resets: ECONNRESET once, then EPIPE; unread data resets too.
#include "loopback.h"
#include <poll.h>

static int error_of(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;
    MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

int main(void)
{
    char byte;
    int pair[2];
    struct linger now = {1, 0};
    tcp_pair(pair);
    MUST(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &now, sizeof now));
    MUST(close(pair[0]));
    struct pollfd poller = {.fd = pair[1], .events = POLLIN};
    SHOW(poll(&poller, 1, -1));
    CHECK((poller.revents & (POLLIN | POLLHUP | POLLERR)) == (POLLIN | POLLHUP | POLLERR));
    SHOW(read(pair[1], &byte, 1));
    SHOW(read(pair[1], &byte, 1));
    SHOW(send(pair[1], "x", 1, MSG_NOSIGNAL));

    // Closing without having read what arrived resets as well. SO_ERROR takes the error away.
    tcp_pair(pair);
    MUST(send(pair[1], "unread", 6, 0));
    poller.fd = pair[0];
    MUST(poll(&poller, 1, -1));
    MUST(close(pair[0]));
    poller.fd = pair[1];
    SHOW(poll(&poller, 1, -1));
    CHECK(error_of(pair[1]) == ECONNRESET);
    CHECK(error_of(pair[1]) == 0);
    SHOW(read(pair[1], &byte, 1));
    SHOW(send(pair[1], "x", 1, MSG_NOSIGNAL));
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(pair[1], "x", 1));
    return guest_status();
}
