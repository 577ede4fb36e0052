// Who am I: process, thread, parent, group and session ids agree with each other.
#include "../guest.h"

static void *thread(void *unused)
{
    (void)unused;
    CHECK(getpid() != gettid());
    CHECK(syscall(SYS_getpid) == getpid());
    return NULL;
}

int main(void)
{
    CHECK(getpid() > 0 && getpid() == gettid());
    CHECK(getppid() >= 0 && getppid() != getpid());
    CHECK(getpgid(0) == getpgrp() && getpgid(getpid()) == getpgrp());
    CHECK(getsid(0) == getsid(getpid()));
    pthread_join(guest_thread(thread, NULL), NULL);
    SHOW(getpgid(-1));
    SHOW(getpgid(1 << 30));
    SHOW(getsid(1 << 30));
    return guest_status();
}
