// A thread waits in epoll_wait while another adds members and makes them ready.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { MEMBERS = 4 };

static int epoll, answers, members[MEMBERS];

static void *wait_for_events(void *unused)
{
    uint64_t one = 1, value;
    struct epoll_event got;
    (void)unused;
    do {
        MUST(epoll_wait(epoll, &got, 1, -1));
        printf("member %u\n", got.data.u32);
        MUST(read(members[got.data.u32], &value, sizeof value));
        MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, members[got.data.u32], NULL));
        MUST(write(answers, &one, sizeof one));
    } while (got.data.u32 != MEMBERS - 1);
    return NULL;
}

int main(void)
{
    uint64_t one = 1, value;
    epoll = MUST(epoll_create1(0));
    answers = MUST(eventfd(0, 0));
    pthread_t thread = guest_thread(wait_for_events, NULL);
    for (unsigned i = 0; i < MEMBERS; i++) {
        // Half of them are ready when they are added, the others become so afterwards.
        bool ready = i % 2 == 0;
        struct epoll_event in = {EPOLLIN, {.u32 = i}};
        members[i] = MUST(eventfd(ready, 0));
        MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, members[i], &in));
        if (!ready)
            MUST(write(members[i], &one, sizeof one));
        MUST(read(answers, &value, sizeof value));
    }
    SHOW_CODE(pthread_join(thread, NULL));
    return guest_status();
}
