// exit: SIGKILL
// SIGKILL cannot be ignored or blocked, and ends all threads.
#include "../guest.h"

static void *spin(void *unused)
{
    (void)unused;
    for (;;)
        sched_yield();
    return NULL;
}

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    MUST(sigprocmask(SIG_SETMASK, &all, NULL));
    CHECK(signal(SIGKILL, SIG_IGN) == SIG_ERR);
    guest_thread(spin, NULL);
    puts("before");
    kill(getpid(), SIGKILL);
    puts("after");
    return 0;
}
