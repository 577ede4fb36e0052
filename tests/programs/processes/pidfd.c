// Process descriptors: opened, polled, signalled, waited for; readable when the process has ended.
#include "../guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static volatile sig_atomic_t sender;

static void note(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    sender = info->si_code == SI_USER ? info->si_pid : -1;
}

static bool readable(int fd)
{
    struct pollfd one = {fd, POLLIN, 0};
    return MUST(poll(&one, 1, 0)) && one.revents & POLLIN;
}

int main(void)
{
    int go[2], status;
    siginfo_t info;
    MUST(pipe(go));
    pid_t child = MUST(fork());
    if (child == 0) {
        char byte;
        close(go[1]);
        while (read(go[0], &byte, 1) < 0)
            ;
        _exit(7);
    }
    close(go[0]);
    int fd = MUST(pidfd_open(child, 0));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(!readable(fd));
    SHOW(pidfd_send_signal(fd, 0, NULL, 0));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));

    char byte;
    SHOW(read(fd, &byte, 1));
    SHOW(write(fd, "x", 1));

    int set = MUST(epoll_create1(0));
    struct epoll_event event = {EPOLLIN, {.u32 = 5}}, got = {0};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    SHOW(epoll_wait(set, &got, 1, 0));
    MUST(close(go[1]));
    SHOW(epoll_wait(set, &got, 1, 10000));
    CHECK(got.events & EPOLLIN && got.data.u32 == 5);
    CHECK(readable(fd));

    // Ended, not waited for: it can still be opened and signalled.
    int other = MUST(pidfd_open(child, 0));
    CHECK(readable(other));
    SHOW(pidfd_send_signal(fd, SIGTERM, NULL, 0));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOWAIT));
    CHECK(info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 7);
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    CHECK(info.si_pid == child);
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    SHOW(pidfd_send_signal(fd, 0, NULL, 0));
    SHOW(pidfd_open(child, 0));
    CHECK(readable(fd));

    // Oneself.
    int own = MUST(pidfd_open(getpid(), PIDFD_NONBLOCK));
    SHOW(fcntl(own, F_GETFL) & O_NONBLOCK ? 1 : 0);
    CHECK(!readable(own));
    guest_handle_info(SIGUSR1, note, 0);
    SHOW(pidfd_send_signal(own, SIGUSR1, NULL, 0));
    CHECK(sender == getpid());
    siginfo_t queued = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    SHOW(pidfd_send_signal(own, SIGUSR1, &queued, 0));
    CHECK(sender == -1);
    SHOW(pidfd_send_signal(own, SIGUSR2, &queued, 0));
    SHOW(waitid(P_PIDFD, own, &info, WEXITED));

    // A descriptor that does not block does not wait.
    child = MUST(fork());
    if (child == 0) {
        pause();
        _exit(0);
    }
    fd = MUST(pidfd_open(child, PIDFD_NONBLOCK));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    SHOW(pidfd_send_signal(fd, SIGKILL, NULL, 0));
    struct pollfd one = {fd, POLLIN, 0};
    SHOW(poll(&one, 1, 10000));
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    CHECK(info.si_code == CLD_KILLED && info.si_status == SIGKILL);

    SHOW(pidfd_open(0, 0));
    SHOW(pidfd_open(-1, 0));
    SHOW(pidfd_open(getpid(), 1 << 20));
    SHOW(pidfd_send_signal(0, 0, NULL, 0));
    SHOW(pidfd_send_signal(99, 0, NULL, 0));
    SHOW(pidfd_send_signal(own, 0, NULL, 1 << 20));
    SHOW(pidfd_send_signal(own, 65, NULL, 0));
    SHOW(waitid(P_PIDFD, 0, &info, WEXITED));
    SHOW(waitid(P_PIDFD, -1, &info, WEXITED));
    MUST(waitpid(-1, &status, WNOHANG) == -1 ? 0 : 0);
    return guest_status();
}
