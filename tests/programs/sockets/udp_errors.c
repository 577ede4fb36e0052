// UDP refusals: nobody there (told to connected sockets only), too long, no destination.
#include "loopback.h"
#include <poll.h>

int main(void)
{
    static char block[70000];
    address a, closed;
    int one = bound_socket(SOCK_DGRAM, &a), gone = bound_socket(SOCK_DGRAM, &closed);
    MUST(close(gone));
    SHOW(sendto(one, "x", 1, 0, (struct sockaddr *)&closed, sizeof closed));
    SHOW(recv(one, block, 1, MSG_DONTWAIT));

    MUST(connect_to(one, &closed));
    SHOW(send(one, "x", 1, 0));
    struct pollfd poller = {.fd = one, .events = POLLIN};
    SHOW(poll(&poller, 1, -1));
    CHECK(poller.revents & POLLERR);
    SHOW(recv(one, block, 1, 0));
    SHOW(recv(one, block, 1, MSG_DONTWAIT));
    // The next send reports what the last one caused.
    MUST(send(one, "x", 1, 0));
    MUST(poll(&poller, 1, -1));
    SHOW(send(one, "x", 1, 0));

    int fresh = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    SHOW(send(fresh, "x", 1, 0));
    SHOW(sendto(fresh, block, 65508, 0, (struct sockaddr *)&a, sizeof a));
    SHOW(sendto(fresh, block, 65507, 0, (struct sockaddr *)&a, sizeof a));
    SHOW(accept(fresh, NULL, NULL));
    SHOW(getpeername(fresh, (struct sockaddr *)&a, &(socklen_t){sizeof a}));
    SHOW(shutdown(fresh, SHUT_RD));
    return guest_status();
}
