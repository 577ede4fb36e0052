// epoll_create1, epoll_ctl, epoll_wait: every refusal.
#include "../guest.h"
#include <sys/epoll.h>

int main(void)
{
    int ends[2], epoll = MUST(epoll_create1(0)), other = MUST(epoll_create1(0));
    struct epoll_event event = {EPOLLIN, {0}};
    MUST(pipe(ends));
    SHOW(epoll_create1(1));
    SHOW(epoll_create(0));
    CHECK(epoll_create(1) >= 0);
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, 99, &event));
    SHOW(epoll_ctl(99, EPOLL_CTL_ADD, ends[0], &event));
    SHOW(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event));
    SHOW(epoll_ctl(epoll, 99, ends[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], guest_bad_pointer()));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    int file = MUST(open("file", O_CREAT | O_RDWR, 0644));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, MUST(open(".", O_RDONLY)), &event));

    // Two epolls may not watch each other.
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &event));
    SHOW(epoll_ctl(other, EPOLL_CTL_ADD, epoll, &event));

    // EPOLLEXCLUSIVE: only when adding, not with ONESHOT, not for an epoll.
    struct epoll_event exclusive = {EPOLLIN | EPOLLEXCLUSIVE, {0}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &exclusive));
    MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &exclusive));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event));
    exclusive.events |= EPOLLONESHOT;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &exclusive));
    exclusive.events = EPOLLIN | EPOLLEXCLUSIVE;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, MUST(epoll_create1(0)), &exclusive));

    struct epoll_event got[2];
    SHOW(epoll_wait(epoll, got, 0, 0));
    SHOW(syscall(SYS_epoll_wait, epoll, got, -1, 0));
    SHOW(epoll_wait(99, got, 1, 0));
    SHOW(epoll_wait(ends[0], got, 1, 0));
    MUST(write(ends[1], "x", 1));
    SHOW(epoll_wait(epoll, guest_bad_pointer(), 1, 0));
    SHOW(epoll_wait(epoll, got, 2, 0));
    char byte;
    SHOW(read(epoll, &byte, 1));
    return guest_status();
}
