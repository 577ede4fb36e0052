// nanosleep, clock_nanosleep, usleep: at least as long as asked, also until a given moment.
#include "../guest.h"

int main(void)
{
    struct timespec ten = {0, 10000000}, none = {0, 0}, left = {7, 7};
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(nanosleep(&ten, &left));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 10000000);
    // What was left is stored only when a signal ends the sleep.
    CHECK(left.tv_sec == 7 && left.tv_nsec == 7);
    SHOW(nanosleep(&none, NULL));

    int64_t until = guest_now(CLOCK_MONOTONIC) + 10000000;
    struct timespec moment = {until / 1000000000, until % 1000000000};
    SHOW_CODE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL));
    CHECK(guest_now(CLOCK_MONOTONIC) >= until);
    SHOW_CODE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL));
    until = guest_now(CLOCK_REALTIME) + 5000000;
    moment = (struct timespec){until / 1000000000, until % 1000000000};
    SHOW_CODE(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &moment, NULL));
    CHECK(guest_now(CLOCK_REALTIME) >= until);
    start = guest_now(CLOCK_BOOTTIME);
    SHOW_CODE(clock_nanosleep(CLOCK_BOOTTIME, 0, &ten, NULL));
    CHECK(guest_now(CLOCK_BOOTTIME) - start >= 10000000);
    start = guest_now(CLOCK_MONOTONIC);
    SHOW(usleep(2000));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 2000000);
    return guest_status();
}
