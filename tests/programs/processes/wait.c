// wait4 and waitid: statuses, selection, options, errors.
#include "../guest.h"
#include <sys/resource.h>
#include <sys/wait.h>

static pid_t child_that(int status, int signal_number)
{
    pid_t child = MUST(fork());
    if (child == 0) {
        if (signal_number)
            raise(signal_number);
        _exit(status);
    }
    return child;
}

int main(void)
{
    int status = 0;
    struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_CORE, &none));
    SHOW(wait(&status));
    SHOW(waitpid(1234567, &status, 0));
    SHOW(waitpid(-1, &status, 0x100));
    pid_t child = child_that(7, 0);
    CHECK(waitpid(child, &status, 0) == child);
    printf("exited %d status %d\n", WIFEXITED(status), WEXITSTATUS(status));
    child = child_that(0, SIGTERM);
    CHECK(waitpid(-1, &status, 0) == child);
    printf("signaled %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));
    int ends[2];
    MUST(pipe(ends));
    child = MUST(fork());
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? 3 : 4);
    }
    SHOW(waitpid(child, &status, WNOHANG));
    siginfo_t info;
    memset(&info, 0xff, sizeof info);
    SHOW(waitid(P_PID, child, &info, WEXITED | WNOHANG));
    printf("nothing: pid %d signal %d\n", info.si_pid, info.si_signo);
    MUST(write(ends[1], "x", 1));
    SHOW(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    CHECK(info.si_pid == child && info.si_uid == getuid());
    printf("signal %d code %d status %d\n", info.si_signo, info.si_code, info.si_status);
    struct rusage usage;
    memset(&usage, 0xff, sizeof usage);
    CHECK(wait4(child, &status, 0, &usage) == child);
    CHECK(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_sec < 60);
    printf("status %d\n", WEXITSTATUS(status));
    SHOW(waitid(P_ALL, 0, &info, WEXITED));
    SHOW(waitid(P_ALL, 0, &info, WNOHANG));
    SHOW(waitid(42, 0, &info, WEXITED));
    SHOW(kill(child, 0));
    // One after the other, whatever the order in which they end.
    pid_t children[20];
    for (int i = 0; i < 20; i++)
        children[i] = child_that(i, 0);
    int sum = 0;
    for (int i = 0; i < 20; i++) {
        MUST(waitpid(children[19 - i], &status, 0));
        sum += WEXITSTATUS(status) == 19 - i;
    }
    printf("%d statuses\n", sum);
    SHOW(wait(NULL));
    return guest_status();
}
