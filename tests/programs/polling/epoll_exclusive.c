// EPOLLEXCLUSIVE: several sets with one member; at least one of those who wait is woken, and none is for nothing
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { WAITERS = 3 };

static int counter, ended;
static _Atomic int taken;

static void *take(void *unused)
{
    int set = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = 5};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
    struct epoll_event end = {.events = EPOLLIN, .data.u32 = 6};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, ended, &end));
    uint64_t value;
    do {
        MUST(epoll_wait(set, &event, 1, -1));
        // Somebody else may have been faster.
        if (event.data.u32 == 5 && read(counter, &value, sizeof value) > 0)
            taken++;
    } while (event.data.u32 != 6);
    close(set);
    return unused;
}

int main(void)
{
    counter = MUST(eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE));
    ended = MUST(eventfd(0, 0));
    int set = MUST(epoll_create1(0)), other = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, other, &event));
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
    SHOW(epoll_ctl(set, EPOLL_CTL_MOD, counter, &event));
    event.events = EPOLLIN;
    SHOW(epoll_ctl(set, EPOLL_CTL_MOD, counter, &event));
    SHOW(epoll_ctl(set, EPOLL_CTL_DEL, counter, &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP;
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
    event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET | EPOLLWAKEUP;
    SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
    SHOW(epoll_ctl(set, EPOLL_CTL_DEL, counter, NULL));

    pthread_t threads[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        threads[i] = guest_thread(take, NULL);
    uint64_t one = 1;
    for (int i = 1; i <= 200; i++) {
        MUST(write(counter, &one, sizeof one));
        while (taken != i)
            sched_yield();
    }
    SHOW(taken);
    MUST(write(ended, &one, sizeof one));
    for (int i = 0; i < WAITERS; i++)
        pthread_join(threads[i], NULL);
    SHOW(taken);
    return guest_status();
}
