// ppoll: the signal mask is swapped in for the wait only; the timeout is a timespec.
#include "../guest.h"
#include <poll.h>

static volatile sig_atomic_t handled;

static void on_signal(int signal_number)
{
    (void)signal_number;
    handled++;
}

int main(void)
{
    sigset_t block, none, now;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    guest_handle(SIGUSR1, on_signal, 0);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    raise(SIGUSR1);
    SHOW(ppoll(NULL, 0, NULL, &none));
    SHOW(handled);
    MUST(sigprocmask(SIG_BLOCK, NULL, &now));
    SHOW(sigismember(&now, SIGUSR1));

    // Something ready comes before a signal that is let in: it stays pending.
    int ends[2];
    MUST(pipe(ends));
    struct pollfd poller = {ends[1], POLLOUT, 0};
    raise(SIGUSR1);
    SHOW(ppoll(&poller, 1, NULL, &none));
    SHOW(handled);
    MUST(sigprocmask(SIG_UNBLOCK, &block, NULL));
    SHOW(handled);

    struct timespec little = {0, 5000000}, bad = {0, -1}, negative = {-1, 0};
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(ppoll(NULL, 0, &little, NULL));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 5000000);
    // glibc keeps its caller's timeout; the call itself writes what is left.
    SHOW(syscall(SYS_ppoll, &poller, 1, &little, NULL, 8));
    CHECK(little.tv_sec == 0 && little.tv_nsec <= 5000000);
    SHOW(ppoll(NULL, 0, &bad, NULL));
    SHOW(ppoll(NULL, 0, &negative, NULL));
    SHOW(syscall(SYS_ppoll, NULL, 0, &little, &none, 4));
    return guest_status();
}
