// timer_create: a signal with a value, absolute times, overruns, deletion, a thread as target.
#include "../guest.h"

static volatile sig_atomic_t value, code;

static void on_timer(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)context;
    value = information->si_value.sival_int;
    code = information->si_code;
}

int main(void)
{
    timer_t timer, second, third;
    sigset_t block, none;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN,
                             .sigev_value.sival_int = 55};
    struct itimerspec once = {.it_value.tv_nsec = 5000000}, now, off = {0};
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN);
    // Let in only while waiting, so that no expiry comes between looking and waiting.
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    guest_handle_info(SIGRTMIN, on_timer, 0);
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(timer_settime(timer, 0, &once, NULL));
    SHOW(sigsuspend(&none));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 5000000);
    SHOW(value);
    CHECK(code == SI_TIMER);
    MUST(timer_gettime(timer, &now));
    CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);

    // While the signal is blocked, further expiries are counted, not queued.
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    struct timespec twenty = {0, 20000000}, at_once = {0, 0};
    siginfo_t information;
    MUST(timer_settime(timer, 0, &often, NULL));
    nanosleep(&twenty, NULL);
    CHECK(sigwaitinfo(&block, &information) == SIGRTMIN);
    CHECK(information.si_code == SI_TIMER && information.si_overrun >= 15);
    CHECK(timer_getoverrun(timer) == information.si_overrun);
    MUST(timer_settime(timer, 0, &off, NULL));
    // One more expiry may have come before the timer was stopped.
    while (sigtimedwait(&block, NULL, &at_once) > 0)
        continue;

    int64_t when = guest_now(CLOCK_REALTIME) + 3000000;
    struct itimerspec absolute = {.it_value = {when / 1000000000, when % 1000000000}};
    event.sigev_value.sival_int = 66;
    SHOW(timer_create(CLOCK_REALTIME, &event, &second));
    SHOW(timer_settime(second, TIMER_ABSTIME, &absolute, NULL));
    SHOW(sigsuspend(&none));
    SHOW(value);

    event = (struct sigevent){.sigev_notify = SIGEV_NONE};
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &third));
    SHOW(timer_delete(third));
    SHOW(timer_delete(third));
    SHOW(timer_settime(third, 0, &once, NULL));
    SHOW(timer_create(9999, &event, &third));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &third));
    SHOW(timer_delete(timer));
    SHOW(timer_delete(second));
    return guest_status();
}
