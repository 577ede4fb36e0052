// A thread that sleeps gets the processor when its time comes, wherever the busy one is: not only in its system calls.
#include "../guest.h"
#include <poll.h>

enum { LOOKS = 2000 };

static atomic_int in_call, seen_at_work, end;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *look(void *unused)
{
    (void)unused;
    for (int looks = 0; looks < LOOKS && seen_at_work < 10; looks++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        seen_at_work += !in_call;
    }
    end = 1;
    return NULL;
}

int main(void)
{
    pthread_t thread = guest_thread(look, NULL);
    while (!end) {
        // Work that is shorter than any time slice, and is most of the time.
        for (long long began = now(); now() - began < 300000;)
            continue;
        in_call = 1;
        poll(NULL, 0, 0);
        in_call = 0;
    }
    SHOW_CODE(pthread_join(thread, NULL));
    CHECK(seen_at_work == 10);
    return guest_status();
}
