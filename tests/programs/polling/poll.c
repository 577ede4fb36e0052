// poll: several descriptors, timeouts, waking by another thread, refused arguments.
#include "../guest.h"
#include <poll.h>
#include <sys/resource.h>

static void *write_byte(void *argument)
{
    MUST(write(*(int *)argument, "x", 1));
    return NULL;
}

int main(void)
{
    int one[2], two[2];
    char byte;
    MUST(pipe(one));
    MUST(pipe(two));
    struct pollfd pollers[3] = {{one[0], POLLIN, 0}, {-7, POLLIN, 99}, {two[0], POLLIN, 0}};
    SHOW(poll(pollers, 3, 0));
    SHOW(pollers[1].revents);
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(poll(pollers, 3, 10));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 10000000);
    SHOW(poll(NULL, 0, 1));

    pthread_t thread = guest_thread(write_byte, &two[1]);
    SHOW(poll(pollers, 3, -1));
    CHECK(pollers[0].revents == 0 && pollers[2].revents == POLLIN);
    pthread_join(thread, NULL);
    MUST(write(one[1], "x", 1));
    SHOW(poll(pollers, 3, -1));
    SHOW(poll(pollers, 2, -1));
    MUST(read(one[0], &byte, 1));
    pollers[2].events = 0;
    SHOW(poll(pollers, 3, 0));

    SHOW(poll(guest_bad_pointer(), 1, 0));
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    SHOW(poll(pollers, limit.rlim_cur + 1, 0));
    return guest_status();
}
