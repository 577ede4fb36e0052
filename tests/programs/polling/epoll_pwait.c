// epoll_pwait, epoll_pwait2: the mask holds during the wait only; timeouts.
#include "../guest.h"
#include <sys/epoll.h>

static volatile sig_atomic_t handled;

static void on_signal(int signal_number)
{
    (void)signal_number;
    handled++;
}

int main(void)
{
    int epoll = MUST(epoll_create1(0));
    struct epoll_event got[1];
    sigset_t block, none, now;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    guest_handle(SIGUSR1, on_signal, SA_RESTART);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    raise(SIGUSR1);
    SHOW(handled);
    // A signal already pending ends the wait at once, and SA_RESTART does not restart it.
    SHOW(epoll_pwait(epoll, got, 1, -1, &none));
    SHOW(handled);
    MUST(sigprocmask(SIG_BLOCK, NULL, &now));
    SHOW(sigismember(&now, SIGUSR1));
    raise(SIGUSR1);
    SHOW(epoll_pwait(epoll, got, 1, 0, NULL));
    SHOW(handled);
    MUST(sigprocmask(SIG_UNBLOCK, &block, NULL));
    SHOW(handled);

    // Blocked for the wait: delivered when it is over, and the wait is not interrupted.
    struct timespec little = {0, 5000000}, bad = {0, 1000000000};
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(epoll_pwait2(epoll, got, 1, &little, &block));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 5000000);
    SHOW(epoll_pwait2(epoll, got, 1, &bad, NULL));
    start = guest_now(CLOCK_MONOTONIC);
    SHOW(epoll_wait(epoll, got, 1, 10));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 10000000);
    SHOW(syscall(SYS_epoll_pwait, epoll, got, 1, 0, &none, 4));
    return guest_status();
}
