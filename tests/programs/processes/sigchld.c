// SIGCHLD: what it says, and children that nobody waits for.
#include "../guest.h"
#include <sys/signalfd.h>
#include <sys/wait.h>

static volatile pid_t told_pid;
static volatile int told_code, told_status, told;

static void on_child(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number, (void)context;
    told_pid = info->si_pid, told_code = info->si_code, told_status = info->si_status, told++;
}

static pid_t child_that(int status, int signal_number)
{
    pid_t child = MUST(fork());
    if (child == 0) {
        if (signal_number)
            kill(getpid(), signal_number);
        _exit(status);
    }
    return child;
}

// Returns when the parent sleeps, as it does in a wait.
static void until_parent_sleeps(void)
{
    char path[40], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", getppid());
    while (state != 'S') {
        FILE *stat = fopen(path, "r");
        if (!stat || fscanf(stat, "%*d %*s %c", &state) != 1)
            _exit(1);
        fclose(stat);
    }
}

int main(void)
{
    int status;
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    guest_handle_info(SIGCHLD, on_child, SA_RESTART);
    pid_t child = child_that(42, 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(told == 1 && told_pid == child && told_code == CLD_EXITED && told_status == 42);
    child = child_that(0, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(told == 2 && told_pid == child && told_code == CLD_KILLED && told_status == SIGKILL);
    // Without SA_RESTART the handler ends another wait.
    guest_handle_info(SIGCHLD, on_child, 0);
    int ends[2];
    char byte;
    MUST(pipe(ends));
    child = MUST(fork());
    if (child == 0) {
        until_parent_sleeps();
        _exit(0);
    }
    SHOW(read(ends[0], &byte, 1));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    // SA_NOCLDWAIT: told, but nothing to wait for.
    guest_handle_info(SIGCHLD, on_child, SA_NOCLDWAIT | SA_RESTART);
    child = child_that(1, 0);
    SHOW(waitpid(child, &status, 0));
    printf("told %d\n", told);
    signal(SIGCHLD, SIG_IGN);
    child = child_that(1, 0);
    SHOW(wait(&status));
    printf("told %d\n", told);
    signal(SIGCHLD, SIG_DFL);
    MUST(sigprocmask(SIG_BLOCK, &set, &old));
    int fd = MUST(signalfd(-1, &set, 0));
    child = child_that(9, 0);
    struct signalfd_siginfo info;
    SHOW(read(fd, &info, sizeof info));
    CHECK(info.ssi_pid == (unsigned)child);
    printf("signal %u code %d status %d\n", info.ssi_signo, info.ssi_code, info.ssi_status);
    CHECK(waitpid(child, &status, 0) == child);
    return guest_status();
}
