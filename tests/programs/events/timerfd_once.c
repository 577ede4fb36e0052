// timerfd, one expiry: not before its time, once, and readable to poll.
#include "../guest.h"
#include <poll.h>
#include <sys/timerfd.h>

int main(void)
{
    uint64_t expiries;
    struct itimerspec setting = {.it_value.tv_nsec = 20000000}, left;
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    SHOW(read(fd, &expiries, sizeof expiries));
    struct itimerspec distant = {.it_value.tv_sec = 1000};
    SHOW(timerfd_settime(fd, 0, &distant, NULL));
    MUST(timerfd_gettime(fd, &left));
    CHECK(left.it_value.tv_sec >= 998 && left.it_value.tv_sec <= 1000);
    CHECK(left.it_interval.tv_sec == 0 && left.it_interval.tv_nsec == 0);
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(timerfd_settime(fd, 0, &setting, NULL));

    struct pollfd poller = {.fd = fd, .events = POLLIN};
    SHOW(poll(&poller, 1, -1));
    CHECK(poller.revents == POLLIN);
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 20000000);
    SHOW(read(fd, &expiries, 4));
    SHOW(read(fd, &expiries, sizeof expiries));
    SHOW(expiries);
    SHOW(read(fd, &expiries, sizeof expiries));
    MUST(timerfd_gettime(fd, &left));
    CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
    SHOW(write(fd, &expiries, sizeof expiries));
    return guest_status();
}
