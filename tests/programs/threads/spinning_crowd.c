// Threads that spin without a system call keep nobody from running: not sleepers, not readers, not timers, not main
#include "../guest.h"
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

enum { SPINNERS = 6, TURNS = 20 };

static _Atomic bool stop;
static int there[2], back[2];

static void *spin(void *argument)
{
    unsigned long *rounds = argument;
    while (!stop)
        ++*(volatile unsigned long *)rounds;
    return NULL;
}

static void *spin_yielding(void *argument)
{
    while (!stop)
        sched_yield();
    return argument;
}

static void *answer(void *argument)
{
    char byte;
    while (read(there[0], &byte, 1) == 1)
        MUST(write(back[1], &byte, 1));
    return argument;
}

static void *sleep_often(void *argument)
{
    struct timespec moment = {.tv_nsec = 100000};
    for (int turn = 0; turn < TURNS; turn++)
        nanosleep(&moment, NULL);
    return argument;
}

static void *wait_for_timer(void *argument)
{
    int timer = MUST(timerfd_create(CLOCK_MONOTONIC, 0)), set = MUST(epoll_create1(0));
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    struct epoll_event event = {.events = EPOLLIN};
    MUST(timerfd_settime(timer, 0, &often, NULL));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, timer, &event));
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t expired;
        MUST(epoll_wait(set, &event, 1, -1));
        MUST(read(timer, &expired, sizeof expired));
    }
    return argument;
}

int main(void)
{
    static unsigned long rounds[SPINNERS];
    pthread_t spinners[SPINNERS], yielding, others[3];
    MUST(pipe(there));
    MUST(pipe(back));
    for (int i = 0; i < SPINNERS; i++)
        spinners[i] = guest_thread(spin, &rounds[i]);
    yielding = guest_thread(spin_yielding, NULL);
    others[0] = guest_thread(sleep_often, NULL);
    others[1] = guest_thread(wait_for_timer, NULL);
    others[2] = guest_thread(answer, NULL);
    for (int turn = 0; turn < TURNS / 4; turn++) {
        char byte = (char)('a' + turn);
        MUST(write(there[1], &byte, 1));
        MUST(read(back[0], &byte, 1));
        putchar(byte);
    }
    puts(" came back");
    close(there[1]);
    for (int i = 0; i < 3; i++)
        SHOW_CODE(pthread_join(others[i], NULL));
    int idle = 0;
    for (int i = 0; i < SPINNERS; i++)
        while (((volatile unsigned long *)rounds)[i] == 0)
            idle++;
    CHECK(idle >= 0);
    stop = true;
    for (int i = 0; i < SPINNERS; i++)
        pthread_join(spinners[i], NULL);
    SHOW_CODE(pthread_join(yielding, NULL));
    return guest_status();
}
