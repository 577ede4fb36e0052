// More ready members than room: they take turns, and none is left out.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void)
{
    int epoll = MUST(epoll_create1(0)), seen[6] = {0};
    struct epoll_event got[4];
    for (unsigned i = 0; i < 6; i++) {
        struct epoll_event in = {EPOLLIN, {.u32 = i}};
        MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, MUST(eventfd(1, 0)), &in));
    }
    SHOW(epoll_wait(epoll, got, 4, 0));
    // In the order in which they became ready; then from where the last call stopped.
    for (int round = 0; round < 12; round++) {
        MUST(epoll_wait(epoll, got, 1, 0));
        printf("%u ", got[0].data.u32);
        seen[got[0].data.u32]++;
    }
    printf("\n");
    for (int i = 0; i < 6; i++)
        SHOW(seen[i]);
    return guest_status();
}
