// One file watched under two descriptors, one epoll used through two descriptors.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void)
{
    int epoll = MUST(epoll_create1(0)), fd = MUST(eventfd(0, 0)), copy = MUST(dup(fd));
    uint64_t value = 1;
    struct epoll_event got[4], first = {EPOLLIN, {.u32 = 1}}, second = {EPOLLIN, {.u32 = 2}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &first));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, copy, &second));
    MUST(write(fd, &value, sizeof value));
    SHOW(epoll_wait(epoll, got, 4, -1));
    CHECK(got[0].data.u32 + got[1].data.u32 == 3);
    MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    SHOW(epoll_wait(epoll, got, 4, -1));
    SHOW(got[0].data.u32);

    int same = MUST(dup(epoll));
    SHOW(epoll_ctl(same, EPOLL_CTL_ADD, copy, &first));
    SHOW(epoll_wait(same, got, 4, -1));
    MUST(close(epoll));
    SHOW(epoll_wait(same, got, 4, -1));
    MUST(read(fd, &value, sizeof value));
    SHOW(epoll_wait(same, got, 4, 0));
    return guest_status();
}
