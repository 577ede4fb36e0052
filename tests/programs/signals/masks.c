// sigprocmask, sigpending: blocked signals wait; ordinary ones once, real-time ones in a queue.
#include "../guest.h"

static volatile sig_atomic_t order[16], count;

static void on_signal(int signal_number)
{
    order[count++] = signal_number;
}

int main(void)
{
    sigset_t block, old, pending;
    int first = SIGRTMIN, second = SIGRTMIN + 1;
    guest_handle(SIGUSR1, on_signal, 0);
    guest_handle(first, on_signal, 0);
    guest_handle(second, on_signal, 0);
    sigfillset(&block);
    SHOW(sigprocmask(SIG_SETMASK, &block, &old));
    SHOW(sigismember(&old, SIGUSR1));
    MUST(sigprocmask(SIG_SETMASK, NULL, &old));
    // These two cannot be blocked.
    CHECK(!sigismember(&old, SIGKILL) && !sigismember(&old, SIGSTOP) && sigismember(&old, SIGTERM));

    raise(second);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(first);
    raise(first);
    SHOW(count);
    MUST(sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, first));
    CHECK(!sigismember(&pending, SIGUSR2));
    sigemptyset(&block);
    SHOW(sigprocmask(SIG_SETMASK, &block, NULL));
    // The lowest number is delivered first, and the next one interrupts its handler before it
    // begins: the handlers run in the opposite order, but for those of the same signal.
    for (int i = 0; i < count; i++)
        puts(order[i] == SIGUSR1 ? "USR1" : order[i] == first ? "RT0" : "RT1");
    MUST(sigpending(&pending));
    CHECK(sigisemptyset(&pending));

    // Ignoring a pending signal drops it.
    sigaddset(&block, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    MUST(sigpending(&pending));
    SHOW(sigismember(&pending, SIGUSR1));
    SHOW(sigprocmask(99, &block, NULL));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &block, NULL, 4));
    SHOW(syscall(SYS_rt_sigpending, &pending, 16));
    return guest_status();
}
