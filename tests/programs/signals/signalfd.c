// signalfd: blocked signals as readable records, with poll and epoll.
#include "../guest.h"
#include <poll.h>
#include <sys/signalfd.h>

int main(void)
{
    sigset_t set, other;
    struct signalfd_siginfo records[4];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    int fd = MUST(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    SHOW(poll(&poller, 1, 0));
    SHOW(read(fd, records, sizeof records));

    MUST(kill(getpid(), SIGUSR1));
    MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 9}));
    SHOW(poll(&poller, 1, -1));
    CHECK(read(fd, records, sizeof records) == 2 * sizeof *records);
    CHECK(records[0].ssi_signo == SIGUSR1 && records[0].ssi_code == SI_USER);
    CHECK(records[0].ssi_pid == (uint32_t)getpid() && records[0].ssi_uid == getuid());
    CHECK((int)records[1].ssi_signo == SIGRTMIN && records[1].ssi_int == 9);
    SHOW(read(fd, records, sizeof records));
    SHOW(read(fd, records, 100));

    // The set can be changed; what it leaves out stays pending.
    sigemptyset(&other);
    sigaddset(&other, SIGRTMIN);
    CHECK(signalfd(fd, &other, 0) == fd);
    MUST(raise(SIGUSR1));
    SHOW(poll(&poller, 1, 0));
    CHECK(sigwaitinfo(&set, NULL) == SIGUSR1);
    SHOW(write(fd, records, sizeof *records));
    SHOW(signalfd(-1, &set, 1));
    SHOW(signalfd(0, &set, 0));
    SHOW(signalfd(99, &set, 0));
    SHOW(syscall(SYS_signalfd4, -1, &set, 4, 0));
    return guest_status();
}
