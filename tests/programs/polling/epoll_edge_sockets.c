// epoll, edge-triggered: several sockets that are ready when they are added are reported once each.
#include "../sockets/loopback.h"
#include <sys/epoll.h>

int main(void)
{
    int pair[2], other[2], epoll = MUST(epoll_create1(0));
    struct epoll_event got[8], edge = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    tcp_pair(pair);
    tcp_pair(other);
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &edge));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &edge));
    SHOW(epoll_wait(epoll, got, 8, 100));
    SHOW(epoll_wait(epoll, got, 8, 0));
    SHOW(epoll_wait(epoll, got, 8, 10));

    // Some more, after the first have been waited for.
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, other[0], &edge));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, other[1], &edge));
    SHOW(epoll_wait(epoll, got, 8, 100));
    SHOW(epoll_wait(epoll, got, 8, 10));
    return guest_status();
}
