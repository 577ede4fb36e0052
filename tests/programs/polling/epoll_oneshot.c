// EPOLLONESHOT: silent after one report until modified; deleted entries are silent.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void)
{
    uint64_t one = 1;
    int fd = MUST(eventfd(0, 0)), epoll = MUST(epoll_create1(0));
    struct epoll_event got[4], once = {EPOLLIN | EPOLLONESHOT, {.u32 = 1}};
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &once));
    MUST(write(fd, &one, sizeof one));
    SHOW(epoll_wait(epoll, got, 4, -1));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(write(fd, &one, sizeof one));
    SHOW(epoll_wait(epoll, got, 4, 0));
    // It is still a member.
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &once));
    once.data.u32 = 2;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &once));
    SHOW(epoll_wait(epoll, got, 4, -1));
    SHOW(got[0].data.u32);
    SHOW(epoll_wait(epoll, got, 4, 0));

    struct epoll_event out = {EPOLLOUT, {.u32 = 3}}, nothing = {0, {.u32 = 4}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &out));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].events == EPOLLOUT && got[0].data.u32 == 3);
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &nothing));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &out));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &out));
    return guest_status();
}
