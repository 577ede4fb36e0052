// What another thread changes in an epoll set reaches a thread that waits in it already
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int set;
static _Atomic int waiter;
static _Atomic int woken;

// Waits in the set once; what it got is shown by the thread that joins.
static void *wait_once(void *result)
{
    struct epoll_event *event = result;
    waiter = gettid();
    int count = (int)MUST(epoll_wait(set, event, 1, -1));
    woken += count;
    return NULL;
}

// Until thread `tid` sleeps, as /proc tells.
static void until_it_sleeps(int tid)
{
    char name[64], text[256];
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid);
    for (char state = 0; state != 'S';) {
        int fd = MUST(open(name, O_RDONLY));
        text[MUST(read(fd, text, sizeof text - 1))] = 0;
        close(fd);
        state = strrchr(text, ')')[2];
    }
}

static pthread_t start_waiting(struct epoll_event *event)
{
    waiter = 0;
    pthread_t thread = guest_thread(wait_once, event);
    while (!waiter)
        sched_yield();
    until_it_sleeps(waiter);
    return thread;
}

static void change(int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    MUST(epoll_ctl(set, operation, fd, &event));
}

#define SHOW_EVENT(thread, event)                        \
    do {                                                 \
        pthread_join(thread, NULL);                      \
        printf("events %#x of %lu\n", (event).events, (unsigned long)(event).data.u64); \
    } while (0)

static void one_of_two_waits_on(void)
{
    // An edge wakes one of the threads that wait in a set; the next edge, the other.
    struct epoll_event events[2];
    int counter = MUST(eventfd(0, EFD_NONBLOCK));
    change(EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLET, 7);
    woken = 0;
    pthread_t first = start_waiting(&events[0]), second = start_waiting(&events[1]);
    uint64_t one = 1;
    MUST(write(counter, &one, sizeof one));
    while (!woken)
        sched_yield();
    SHOW(woken);
    MUST(write(counter, &one, sizeof one));
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    SHOW(woken);
    SHOW(events[0].data.u64 == 7 && events[1].data.u64 == 7);
    close(counter);
}

int main(void)
{
    struct epoll_event event;
    int pair[2], other[2];
    set = MUST(epoll_create1(0));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, other));

    // A member that begins to ask for what is there.
    change(EPOLL_CTL_ADD, pair[0], EPOLLIN, 1);
    pthread_t thread = start_waiting(&event);
    change(EPOLL_CTL_MOD, pair[0], EPOLLOUT, 2);
    SHOW_EVENT(thread, event);

    // A new member that is ready.
    change(EPOLL_CTL_MOD, pair[0], EPOLLIN, 1);
    thread = start_waiting(&event);
    MUST(write(other[1], "x", 1));
    change(EPOLL_CTL_ADD, other[0], EPOLLIN, 3);
    SHOW_EVENT(thread, event);
    change(EPOLL_CTL_DEL, other[0], 0, 0);

    // One that is no member any more says nothing, and neither does one that asks for nothing.
    thread = start_waiting(&event);
    change(EPOLL_CTL_ADD, other[0], 0, 4);
    change(EPOLL_CTL_DEL, pair[0], 0, 0);
    MUST(write(pair[1], "y", 1));
    until_it_sleeps(waiter);
    change(EPOLL_CTL_MOD, other[0], EPOLLIN, 5);
    SHOW_EVENT(thread, event);
    char byte;
    MUST(read(other[0], &byte, 1));

    // One shot, used up and set again; the byte of before is still there.
    change(EPOLL_CTL_ADD, pair[0], EPOLLIN | EPOLLONESHOT, 6);
    SHOW(epoll_wait(set, &event, 1, -1));
    SHOW(epoll_wait(set, &event, 1, 0));
    thread = start_waiting(&event);
    change(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLONESHOT, 8);
    SHOW_EVENT(thread, event);

    // Edges: setting it again is one.
    change(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLET, 9);
    SHOW(epoll_wait(set, &event, 1, -1));
    SHOW(epoll_wait(set, &event, 1, 0));
    thread = start_waiting(&event);
    change(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLET, 10);
    SHOW_EVENT(thread, event);
    thread = start_waiting(&event);
    MUST(write(pair[1], "z", 1));
    SHOW_EVENT(thread, event);

    // A peer that goes.
    thread = start_waiting(&event);
    MUST(close(pair[1]));
    SHOW_EVENT(thread, event);
    MUST(close(pair[0]));

    one_of_two_waits_on();
    return guest_status();
}
