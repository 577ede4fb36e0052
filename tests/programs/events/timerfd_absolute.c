// timerfd: absolute times, past and future, disarming, refused arguments.
#include "../guest.h"
#include <poll.h>
#include <sys/timerfd.h>

int main(void)
{
    uint64_t expiries;
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    struct itimerspec past = {.it_value.tv_nsec = 1};
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL));
    SHOW(read(fd, &expiries, sizeof expiries));
    SHOW(expiries);

    int64_t when = guest_now(CLOCK_MONOTONIC) + 10000000;
    struct itimerspec soon = {.it_value = {when / 1000000000, when % 1000000000}};
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &soon, NULL));
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    SHOW(poll(&poller, 1, -1));
    CHECK(guest_now(CLOCK_MONOTONIC) >= when);
    // Setting the timer anew forgets an expiry that nobody has read.
    struct itimerspec far = {.it_value.tv_sec = 1000}, old;
    SHOW(timerfd_settime(fd, 0, &far, NULL));
    SHOW(read(fd, &expiries, sizeof expiries));
    struct itimerspec off = {0};
    SHOW(timerfd_settime(fd, 0, &off, &old));
    CHECK(old.it_value.tv_sec >= 998 && old.it_value.tv_sec <= 1000);
    SHOW(poll(&poller, 1, 0));

    int realtime = MUST(timerfd_create(CLOCK_REALTIME, 0));
    SHOW(timerfd_settime(realtime, TFD_TIMER_ABSTIME, &past, NULL));
    SHOW(read(realtime, &expiries, sizeof expiries));
    SHOW(expiries);
    SHOW(timerfd_create(99, 0));
    SHOW(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    SHOW(timerfd_create(CLOCK_MONOTONIC, 1));
    struct itimerspec bad = {.it_value.tv_nsec = 1000000000};
    SHOW(timerfd_settime(fd, 0, &bad, NULL));
    SHOW(timerfd_settime(fd, 8, &off, NULL));
    SHOW(timerfd_settime(0, 0, &off, NULL));
    SHOW(timerfd_gettime(99, &old));
    return guest_status();
}
