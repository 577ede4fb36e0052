// EINTR: sleeps, waits and polls end when a handler has run, and sleeps tell what was left.
#include "../guest.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static volatile sig_atomic_t handled;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    handled++;
}

int main(void)
{
    // Ticking goes on, so that a tick before the call blocks does no harm.
    struct itimerval tick = {{0, 3000}, {0, 3000}}, off = {0};
    struct timespec long_time = {1000, 0}, left = {0};
    struct epoll_event got;
    sigset_t none;
    sem_t semaphore;
    int epoll = MUST(epoll_create1(0));
    sem_init(&semaphore, 0, 0);
    sigemptyset(&none);
    // SA_RESTART does not help these: they are never restarted.
    guest_handle(SIGALRM, on_alarm, SA_RESTART);
    MUST(setitimer(ITIMER_REAL, &tick, NULL));
    SHOW(nanosleep(&long_time, &left));
    CHECK(left.tv_sec >= 990 && left.tv_sec < 1000);
    SHOW_CODE(clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL));
    SHOW(poll(NULL, 0, -1));
    SHOW(select(0, NULL, NULL, NULL, NULL));
    SHOW(epoll_wait(epoll, &got, 1, -1));
    SHOW(pause());
    SHOW(sigsuspend(&none));
    guest_handle(SIGALRM, on_alarm, 0);
    SHOW(sem_wait(&semaphore));
    CHECK(handled >= 8);
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    return guest_status();
}
