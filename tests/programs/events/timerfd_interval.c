// timerfd, repeating: a read gives the expiries since the last one, and they add up.
#include "../guest.h"
#include <sys/timerfd.h>

int main(void)
{
    uint64_t expiries, total = 0;
    struct itimerspec setting = {{0, 2000000}, {0, 1000000}}, left;
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
    int64_t start = guest_now(CLOCK_MONOTONIC);
    MUST(timerfd_settime(fd, 0, &setting, NULL));
    while (total < 10) {
        MUST(read(fd, &expiries, sizeof expiries));
        if (expiries == 0)
            puts("a read of nothing");
        total += expiries;
    }
    int64_t passed = guest_now(CLOCK_MONOTONIC) - start;
    // The first at 1 ms, then one each 2 ms.
    CHECK(passed >= 1000000 + 2000000 * ((int64_t)total - 1));
    MUST(timerfd_gettime(fd, &left));
    CHECK(left.it_interval.tv_nsec == 2000000);
    CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 2000000);

    struct itimerspec off = {0}, old;
    SHOW(timerfd_settime(fd, 0, &off, &old));
    CHECK(old.it_interval.tv_nsec == 2000000);
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    SHOW(read(fd, &expiries, sizeof expiries));
    return guest_status();
}
