// CLONE_PIDFD: the descriptor comes with the process, to its maker alone.
#include "../guest.h"
#include <linux/sched.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static long make(unsigned long flags, int *fd)
{
    return syscall(SYS_clone, flags | SIGCHLD, NULL, fd, NULL, 0);
}

int main(void)
{
    siginfo_t info;
    char link[64], text[256];
    int fd = -1, more = -1;
    long child = MUST(make(CLONE_PIDFD, &fd));
    if (child == 0)
        // The lowest free number is what its maker has the descriptor at.
        _exit(dup(0));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    CHECK(info.si_pid == child && info.si_status == fd);

    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .exit_signal = SIGCHLD};
    int tid = 0;
    args.pidfd = (uintptr_t)&more;
    args.parent_tid = (uintptr_t)&tid;
    child = MUST(syscall(SYS_clone3, &args, sizeof args));
    if (child == 0)
        _exit(3);
    CHECK(tid == child && more > fd);
    snprintf(link, sizeof link, "/proc/self/fdinfo/%d", more);
    int file = MUST(open(link, O_RDONLY));
    ssize_t length = MUST(read(file, text, sizeof text - 1));
    text[length] = 0;
    char *line = strstr(text, "\nPid:\t");
    CHECK(line && atoi(line + 6) == child);
    SHOW(waitid(P_PIDFD, more, &info, WEXITED));
    CHECK(info.si_pid == child && info.si_status == 3);
    MUST(lseek(file, 0, SEEK_SET));
    file = MUST(open(link, O_RDONLY));
    length = MUST(read(file, text, sizeof text - 1));
    text[length] = 0;
    line = strstr(text, "\nPid:\t");
    CHECK(line && atoi(line + 6) == -1);

    SHOW(make(CLONE_PIDFD | CLONE_PARENT_SETTID, &fd));
    SHOW(make(CLONE_PIDFD, guest_bad_pointer()));
    SHOW(waitpid(-1, NULL, 0));
    return guest_status();
}
