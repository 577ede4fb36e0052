// Closing a watched descriptor removes it, unless a duplicate keeps the file open.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void)
{
    int epoll = MUST(epoll_create1(0)), fd = MUST(eventfd(1, 0));
    struct epoll_event got[4], in = {EPOLLIN, {.u32 = 1}};
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(close(fd));
    SHOW(epoll_wait(epoll, got, 4, 0));
    // The number is free for a new member.
    CHECK(eventfd(1, 0) == fd);
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in));

    int copy = MUST(dup(fd));
    MUST(close(fd));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(got[0].data.u32);
    // The entry is still there, but nothing can name it any more.
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, copy, NULL));
    SHOW(epoll_wait(epoll, got, 4, 0));
    // Under the same number, another file is another member.
    CHECK(eventfd(1, 0) == fd);
    in.data.u32 = 2;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in));
    SHOW(epoll_wait(epoll, got, 4, 0));
    MUST(close(copy));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(got[0].data.u32);

    // Replaced with dup2 is closed too.
    int empty = MUST(eventfd(0, 0));
    MUST(dup2(empty, fd));
    SHOW(epoll_wait(epoll, got, 4, 0));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &in));
    return guest_status();
}
