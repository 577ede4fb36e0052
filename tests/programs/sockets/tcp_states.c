// The states of a connection whose ends both are the program's own: TCP_INFO, names, errors, poll, step by step.
#include "loopback.h"
#include <poll.h>

static int state(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
    // Whether the end of the stream has been acknowledged already depends on time.
    return info.tcpi_state == 4 ? 5 : info.tcpi_state;
}

static void show(const char *when, const int pair[2])
{
    for (int i = 0; i < 2; i++) {
        struct pollfd poller = {.fd = pair[i], .events = POLLIN | POLLOUT | POLLRDHUP};
        address name;
        socklen_t size = sizeof name;
        MUST(poll(&poller, 1, 0));
        printf("%s, end %d: state %d events %x peer %d\n", when, i, state(pair[i]), poller.revents,
               getpeername(pair[i], (struct sockaddr *)&name, &size) == 0);
    }
}

int main(void)
{
    char content[16];
    int pair[2];
    signal(SIGPIPE, SIG_IGN);
    tcp_pair(pair);
    show("connected", pair);
    MUST(send(pair[0], "abc", 3, 0));
    show("sent", pair);
    SHOW(shutdown(pair[0], SHUT_WR));
    SHOW(shutdown(pair[0], SHUT_WR));
    show("half closed", pair);
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(send(pair[1], "reply", 5, 0));
    SHOW(shutdown(pair[1], SHUT_WR));
    show("both closed", pair);
    SHOW(recv(pair[0], content, sizeof content, 0));
    SHOW(recv(pair[0], content, sizeof content, 0));
    SHOW(send(pair[0], "x", 1, 0));
    SHOW(shutdown(pair[0], SHUT_RDWR));
    SHOW(shutdown(pair[1], SHUT_RD));
    MUST(close(pair[0]));
    MUST(close(pair[1]));

    // Receiving is over for who says so, but what comes can still be read.
    tcp_pair(pair);
    SHOW(shutdown(pair[1], SHUT_RD));
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(send(pair[0], "late", 4, 0));
    SHOW(recv(pair[1], content, sizeof content, 0));
    show("no receiving", pair);
    MUST(close(pair[0]));
    MUST(close(pair[1]));

    // The first send to who has closed goes out, and comes back as a reset.
    tcp_pair(pair);
    MUST(close(pair[1]));
    pair[1] = pair[0];
    show("peer closed", pair);
    SHOW(send(pair[0], "x", 1, 0));
    SHOW(send(pair[0], "x", 1, 0));
    SHOW(recv(pair[0], content, sizeof content, 0));
    show("after the reset", pair);
    MUST(close(pair[0]));

    // Half closed by us, then closed by the peer with bytes that it has not read.
    tcp_pair(pair);
    MUST(send(pair[0], "unread", 6, 0));
    MUST(shutdown(pair[0], SHUT_WR));
    MUST(close(pair[1]));
    SHOW(recv(pair[0], content, sizeof content, 0));
    SHOW(recv(pair[0], content, sizeof content, 0));
    MUST(close(pair[0]));

    // Bytes that came before a reset are still there.
    tcp_pair(pair);
    MUST(send(pair[0], "before", 6, 0));
    MUST(send(pair[1], "unread", 6, 0));
    MUST(close(pair[0]));
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(send(pair[1], "x", 1, 0));
    return guest_status();
}
