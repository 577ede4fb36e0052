// Orphans: init takes them, or who asked to; the parent death signal.
#include "../guest.h"
#include <sys/prctl.h>
#include <sys/wait.h>

static int ends[2];

static void make_orphan(void)
{
    pid_t middle = MUST(fork());
    if (middle == 0) {
        int ready[2];
        MUST(pipe(ready));
        pid_t before = getpid();
        if (MUST(fork()) == 0) {
            char byte;
            close(ready[1]);
            read(ready[0], &byte, 1); // until the middle one is gone
            // It closes its files before its children have a new parent.
            while (getppid() == before)
                sched_yield();
            pid_t parent = getppid();
            MUST(write(ends[1], &parent, sizeof parent));
            _exit(6);
        }
        _exit(0);
    }
    int status;
    MUST(waitpid(middle, &status, 0));
}

int main(void)
{
    pid_t parent;
    int status;
    MUST(pipe(ends));
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    make_orphan();
    MUST(read(ends[0], &parent, sizeof parent));
    CHECK(parent == getpid());
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 6);
    SHOW(wait(&status));
    // A child that wants to know of its parent's end.
    pid_t middle = MUST(fork());
    if (middle == 0) {
        int ready[2];
        MUST(pipe(ready));
        if (MUST(fork()) == 0) {
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, SIGUSR1);
            MUST(sigprocmask(SIG_BLOCK, &set, NULL));
            MUST(prctl(PR_SET_PDEATHSIG, SIGUSR1));
            MUST(write(ready[1], "x", 1));
            siginfo_t info;
            int got = sigwaitinfo(&set, &info);
            _exit(got == SIGUSR1 && info.si_code == SI_USER ? 11 : 12);
        }
        char byte;
        MUST(read(ready[0], &byte, 1));
        _exit(0);
    }
    MUST(waitpid(middle, &status, 0));
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 11);
    return guest_status();
}
