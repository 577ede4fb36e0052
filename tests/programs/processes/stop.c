// SIGSTOP and SIGCONT: a child stops, goes on, and its parent is told.
#include "../guest.h"
#include <sys/wait.h>

static volatile int codes[8], count;

static void on_child(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number, (void)context;
    if (count < 8)
        codes[count++] = info->si_code;
}

int main(void)
{
    int status, there[2], back[2];
    char byte;
    guest_handle_info(SIGCHLD, on_child, SA_RESTART);
    MUST(pipe(there));
    MUST(pipe(back));
    pid_t child = MUST(fork());
    if (child == 0) {
        while (read(there[0], &byte, 1) == 1)
            MUST(write(back[1], &byte, 1));
        _exit(0);
    }
    MUST(write(there[1], "a", 1));
    MUST(read(back[0], &byte, 1));
    SHOW(kill(child, SIGSTOP));
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status));
    SHOW(waitpid(child, &status, WUNTRACED | WNOHANG));
    // It does not answer now.
    MUST(write(there[1], "b", 1));
    MUST(fcntl(back[0], F_SETFL, O_NONBLOCK));
    SHOW(read(back[0], &byte, 1));
    MUST(fcntl(back[0], F_SETFL, 0));
    SHOW(kill(child, SIGCONT));
    CHECK(waitpid(child, &status, WCONTINUED) == child);
    CHECK(WIFCONTINUED(status));
    SHOW(read(back[0], &byte, 1));
    siginfo_t info;
    MUST(kill(child, SIGTSTP));
    MUST(kill(child, SIGSTOP));
    SHOW(waitid(P_PID, child, &info, WSTOPPED));
    CHECK(info.si_pid == child && info.si_code == CLD_STOPPED);
    // A stopped process can be killed.
    SHOW(kill(child, SIGKILL));
    CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
    printf("told %d %d %d\n", codes[0], codes[1], codes[count - 1]);
    return guest_status();
}
