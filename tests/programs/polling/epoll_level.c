// epoll, level-triggered: ready as long as there is something to read; the user data comes back.
#include "../guest.h"
#include <sys/epoll.h>

int main(void)
{
    char byte;
    int ends[2], epoll = MUST(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event got[4];
    MUST(pipe(ends));
    struct epoll_event in = {EPOLLIN, {.u64 = UINT64_C(0x123456789abcdef0)}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &in));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(write(ends[1], "ab", 2));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == EPOLLIN && got[0].data.u64 == in.data.u64);
    MUST(read(ends[0], &byte, 1));
    SHOW(epoll_wait(epoll, got, 4, -1));
    MUST(read(ends[0], &byte, 1));
    SHOW(epoll_wait(epoll, got, 4, 0));

    struct epoll_event out = {EPOLLOUT, {.u32 = 7}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &out));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == EPOLLOUT && got[0].data.u32 == 7);
    // Hang-up and error come unasked.
    MUST(close(ends[0]));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == (EPOLLOUT | EPOLLERR));
    SHOW(fcntl(epoll, F_GETFD));
    return guest_status();
}
