// An epoll inside an epoll (and inside poll) is readable when one of its members is ready.
#include "../guest.h"
#include <poll.h>
#include <sys/epoll.h>

int main(void)
{
    char byte;
    int ends[2], inner = MUST(epoll_create1(0)), outer = MUST(epoll_create1(0));
    struct epoll_event got[4];
    struct epoll_event pipe_event = {EPOLLIN, {.u32 = 1}}, epoll_event = {EPOLLIN, {.u32 = 2}};
    MUST(pipe(ends));
    MUST(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &epoll_event));
    SHOW(epoll_wait(outer, got, 4, 0));
    MUST(epoll_ctl(inner, EPOLL_CTL_ADD, ends[0], &pipe_event));
    SHOW(epoll_wait(outer, got, 4, 0));
    MUST(write(ends[1], "x", 1));
    SHOW(epoll_wait(outer, got, 4, -1));
    SHOW(got[0].data.u32);
    SHOW(epoll_wait(inner, got, 4, -1));
    SHOW(got[0].data.u32);
    struct pollfd poller = {.fd = outer, .events = POLLIN | POLLOUT};
    SHOW(poll(&poller, 1, -1));
    CHECK(poller.revents == POLLIN);
    MUST(read(ends[0], &byte, 1));
    SHOW(epoll_wait(outer, got, 4, 0));
    SHOW(poll(&poller, 1, 0));

    // Edge-triggered outside, level-triggered inside.
    epoll_event.events = EPOLLIN | EPOLLET;
    MUST(epoll_ctl(outer, EPOLL_CTL_MOD, inner, &epoll_event));
    MUST(write(ends[1], "x", 1));
    SHOW(epoll_wait(outer, got, 4, -1));
    SHOW(epoll_wait(outer, got, 4, 0));
    SHOW(epoll_wait(inner, got, 4, 0));
    MUST(close(inner));
    SHOW(epoll_wait(outer, got, 4, 0));
    return guest_status();
}
