// pselect6: a mask for the wait, passed with its size in a pair.
#include "../guest.h"
#include <sys/select.h>

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
    sigaddset(&block, SIGUSR2);
    guest_handle(SIGUSR2, on_signal, 0);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    raise(SIGUSR2);
    SHOW(pselect(0, NULL, NULL, NULL, NULL, &none));
    SHOW(handled);
    MUST(sigprocmask(SIG_BLOCK, NULL, &now));
    SHOW(sigismember(&now, SIGUSR2));

    int ends[2];
    fd_set reading;
    struct timespec little = {0, 5000000};
    MUST(pipe(ends));
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(pselect(ends[0] + 1, &reading, NULL, NULL, &little, NULL));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 5000000);
    MUST(write(ends[1], "x", 1));
    FD_SET(ends[0], &reading);
    SHOW(pselect(ends[0] + 1, &reading, NULL, NULL, NULL, &none));

    struct { const void *mask; size_t size; } wrong_size = {&none, 4}, no_mask = {NULL, 0};
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &little, &wrong_size));
    little.tv_nsec = 0;
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &little, &no_mask));
    little.tv_nsec = -1;
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &little, NULL));
    return guest_status();
}
