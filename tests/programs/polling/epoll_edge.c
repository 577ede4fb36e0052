// epoll, edge-triggered: one report for each arrival, however much is left unread.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int main(void)
{
    char byte;
    uint64_t one = 1;
    int ends[2], pair[2], epoll = MUST(epoll_create1(0));
    struct epoll_event got[4], edge = {EPOLLIN | EPOLLET, {0}};
    MUST(pipe(ends));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &edge));
    MUST(write(ends[1], "ab", 2));
    SHOW(epoll_wait(epoll, got, 4, -1));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(read(ends[0], &byte, 1));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(write(ends[1], "c", 1));
    SHOW(epoll_wait(epoll, got, 4, -1));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(close(ends[1]));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == (EPOLLIN | EPOLLHUP));
    MUST(close(ends[0]));

    int counter = MUST(eventfd(0, 0));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, counter, &edge));
    for (int i = 0; i < 2; i++) {
        MUST(write(counter, &one, sizeof one));
        SHOW(epoll_wait(epoll, got, 4, -1));
        SHOW(epoll_wait(epoll, got, 4, 0));
    }

    // Something readable before it was added is an edge as well; so is a modification.
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(write(pair[1], "x", 1));
    edge.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &edge));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == (EPOLLIN | EPOLLOUT));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &edge));
    SHOW(epoll_wait(epoll, got, 4, -1));
    MUST(shutdown(pair[1], SHUT_WR));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP));
    return guest_status();
}
