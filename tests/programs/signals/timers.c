// alarm, setitimer: arming, reading, repeating, disarming.
#include "../guest.h"
#include <sys/time.h>

static volatile sig_atomic_t ticks, processor_ticks;

static void on_alarm(int signal_number)
{
    if (signal_number == SIGALRM)
        ticks++;
    else
        processor_ticks++;
}

int main(void)
{
    struct itimerval setting = {{0, 2000}, {0, 1000}}, long_one = {{0, 0}, {500, 0}};
    struct itimerval now, off = {0};
    guest_handle(SIGALRM, on_alarm, 0);
    guest_handle(SIGVTALRM, on_alarm, 0);
    guest_handle(SIGPROF, on_alarm, 0);
    SHOW(alarm(100));
    SHOW(alarm(0));
    SHOW(alarm(0));
    SHOW(setitimer(ITIMER_REAL, &long_one, NULL));
    MUST(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_sec >= 490 && now.it_value.tv_sec <= 500);
    // alarm and ITIMER_REAL are the same timer.
    CHECK(alarm(0) >= 490);

    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(setitimer(ITIMER_REAL, &setting, NULL));
    while (ticks < 5)
        pause();
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 1000000 + 3 * 2000000);
    MUST(setitimer(ITIMER_REAL, &off, &now));
    CHECK(now.it_interval.tv_usec == 2000);
    ticks = 0;
    MUST(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0);

    // These count processor time, so they need a program that works.
    setting = (struct itimerval){{0, 0}, {0, 10000}};
    SHOW(setitimer(ITIMER_VIRTUAL, &setting, NULL));
    while (processor_ticks < 1)
        continue;
    SHOW(setitimer(ITIMER_PROF, &setting, NULL));
    while (processor_ticks < 2)
        continue;
    SHOW(ticks);
    setting.it_value.tv_usec = 1000000;
    SHOW(setitimer(ITIMER_REAL, &setting, NULL));
    SHOW(setitimer(99, &off, NULL));
    SHOW(getitimer(ITIMER_REAL, guest_bad_pointer()));
    return guest_status();
}
