// A process without children: wait says so; ids that nobody has cannot be signalled.
#include "../guest.h"
#include <sys/wait.h>

int main(void)
{
    int status;
    siginfo_t information;
    SHOW(wait(&status));
    SHOW(waitpid(-1, &status, WNOHANG));
    SHOW(waitpid(getpid(), &status, 0));
    SHOW(waitpid(1 << 30, &status, 0));
    SHOW(waitpid(-1, &status, 0x100));
    SHOW(waitid(P_ALL, 0, &information, WEXITED));
    SHOW(waitid(P_ALL, 0, &information, 0));
    SHOW(kill(1 << 30, 0));
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 65));
    SHOW(kill(getpid(), -1));
    SHOW(syscall(SYS_tgkill, getpid(), gettid(), 0));
    SHOW(syscall(SYS_tgkill, getpid(), 1 << 30, 0));
    SHOW(syscall(SYS_tgkill, -1, gettid(), 0));
    SHOW(syscall(SYS_tkill, gettid(), 0));
    SHOW(syscall(SYS_tkill, 0, 0));
    return guest_status();
}
