// sigaction: what it stores and gives back, and what it refuses.
#include "../guest.h"

static void handler(int signal_number)
{
    (void)signal_number;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER}, old;
    sigaddset(&action.sa_mask, SIGUSR2);
    // SIGKILL cannot be blocked, in no mask.
    sigaddset(&action.sa_mask, SIGKILL);
    SHOW(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == SIG_DFL && old.sa_flags == 0);
    SHOW(sigaction(SIGUSR1, &action, &old));
    CHECK(old.sa_handler == SIG_DFL);
    SHOW(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == handler);
    CHECK((old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO)) == (SA_RESTART | SA_NODEFER));
    CHECK(sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGKILL));
    CHECK(signal(SIGUSR1, SIG_IGN) == handler);
    SHOW(raise(SIGUSR1));
    CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN);

    SHOW(sigaction(SIGKILL, &action, NULL));
    SHOW(sigaction(SIGSTOP, &action, NULL));
    SHOW(sigaction(SIGKILL, NULL, &old));
    SHOW(sigaction(0, &action, NULL));
    SHOW(sigaction(65, &action, NULL));
    SHOW(sigaction(64, &action, NULL));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    SHOW(raise(0));
    SHOW(raise(65));
    return guest_status();
}
