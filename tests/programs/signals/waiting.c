// sigwaitinfo, sigtimedwait: taking blocked signals in order, with their values; timeouts.
#include "../guest.h"

static void *send_later(void *argument)
{
    MUST(kill(*(pid_t *)argument, SIGUSR2));
    return NULL;
}

int main(void)
{
    sigset_t set;
    siginfo_t information;
    struct timespec at_once = {0, 0}, little = {0, 5000000}, bad = {0, -1};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    SHOW(sigtimedwait(&set, &information, &at_once));
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(sigtimedwait(&set, &information, &little));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 5000000);

    MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 1}));
    MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 2}));
    MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 3}));
    MUST(kill(getpid(), SIGUSR1));
    // The lowest number first; equal ones in the order of sending.
    for (int i = 0; i < 4; i++) {
        int got = MUST(sigwaitinfo(&set, &information));
        printf("%s code=%d value=%d\n", got == SIGUSR1 ? "USR1" : got == SIGRTMIN ? "RT0" : "RT1",
               information.si_code,
               information.si_code == SI_QUEUE ? information.si_value.sival_int : 0);
    }
    SHOW(sigtimedwait(&set, NULL, &at_once));

    pid_t self = getpid();
    pthread_t thread = guest_thread(send_later, &self);
    CHECK(sigwaitinfo(&set, &information) == SIGUSR2);
    CHECK(information.si_pid == self && information.si_code == SI_USER);
    pthread_join(thread, NULL);
    SHOW(sigtimedwait(&set, &information, &bad));
    SHOW(syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, 4));
    // Default-ignored signals wait too, when they are blocked.
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    raise(SIGCHLD);
    CHECK(sigwaitinfo(&set, NULL) == SIGCHLD);
    return guest_status();
}
