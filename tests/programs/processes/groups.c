// Process groups and sessions: who may join, who is signalled.
#include "../guest.h"
#include <sys/wait.h>

static pid_t sleeper(void)
{
    pid_t child = MUST(fork());
    if (child == 0)
        for (;;)
            pause();
    return child;
}

int main(void)
{
    int status;
    pid_t one = sleeper(), other = sleeper(), third = sleeper();
    SHOW(setpgid(one, one));
    SHOW(setpgid(other, one));
    CHECK(getpgid(one) == one && getpgid(other) == one && getpgid(third) == getpgrp());
    SHOW(setpgid(third, 1234567));
    SHOW(setpgid(1234567, 0));
    SHOW(setpgid(third, -1));
    SHOW(getpgid(1234567));
    SHOW(getsid(1234567));
    SHOW(waitpid(-one, &status, WNOHANG));
    SHOW(kill(-one, 0));
    SHOW(kill(-one, SIGTERM));
    CHECK(waitpid(-one, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
    CHECK(waitpid(-one, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
    SHOW(waitpid(-one, &status, 0));
    SHOW(kill(-one, 0));
    SHOW(kill(third, 64 + 1));
    SHOW(kill(third, SIGKILL));
    CHECK(waitpid(third, &status, 0) == third && WTERMSIG(status) == SIGKILL);
    pid_t child = MUST(fork());
    if (child == 0) {
        CHECK(setsid() == getpid());
        CHECK(getsid(0) == getpid() && getpgrp() == getpid());
        SHOW(setsid());
        SHOW(setpgid(0, 0));
        SHOW(setpgid(0, getppid()));
        // Its own child may have a group within the session.
        pid_t grandchild = sleeper();
        SHOW(setpgid(grandchild, 0));
        SHOW(kill(0, 0));
        SHOW(kill(-grandchild, SIGINT));
        CHECK(waitpid(grandchild, &status, 0) == grandchild && WTERMSIG(status) == SIGINT);
        exit(guest_status());
    }
    MUST(waitpid(child, &status, 0));
    CHECK(status == 0);
    return guest_status();
}
