// A bad pointer is EFAULT, in any call, without harm.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/socket.h>

int main(void)
{
    // Unmapped, the kernel's half, not canonical, the last page.
    unsigned long pointers[] = {8, UINT64_C(0xffff800000000000), UINT64_C(1) << 62, -4096ul};
    const char *names[] = {"low", "kernel", "not canonical", "last page"};
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644)), pair[2];
    MUST(write(fd, "content", 7));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(write(pair[1], "content", 7));
    int epoll = MUST(epoll_create1(0));
    for (int i = 0; i < 4; i++) {
        unsigned long bad = pointers[i];
        puts(names[i]);
        MUST(lseek(fd, 0, SEEK_SET));
        SHOW(syscall(SYS_read, fd, bad, 1));
        SHOW(syscall(SYS_write, fd, bad, 1));
        SHOW(syscall(SYS_read, pair[0], bad, 1));
        SHOW(syscall(SYS_write, pair[0], bad, 1));
        SHOW(syscall(SYS_pread64, fd, bad, 1, 0));
        SHOW(syscall(SYS_readv, fd, bad, 1));
        SHOW(syscall(SYS_open, bad, O_RDONLY));
        SHOW(syscall(SYS_newfstatat, AT_FDCWD, bad, 0, 0));
        SHOW(syscall(SYS_fstat, fd, bad));
        SHOW(syscall(SYS_getcwd, bad, 4096));
        SHOW(syscall(SYS_readlink, bad, bad, 1));
        SHOW(syscall(SYS_pipe2, bad, 0));
        SHOW(syscall(SYS_poll, bad, 1, 0));
        SHOW(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, pair[0], bad));
        SHOW(syscall(SYS_rt_sigaction, SIGUSR1, bad, NULL, 8));
        SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8));
        SHOW(syscall(SYS_sigaltstack, bad, NULL));
        SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad));
        SHOW(syscall(SYS_nanosleep, bad, NULL));
        SHOW(syscall(SYS_futex, bad & ~3ul, 0, 0, NULL, NULL, 0));
        SHOW(syscall(SYS_getrandom, bad, 1, 0));
        SHOW(syscall(SYS_uname, bad));
        SHOW(syscall(SYS_times, bad));
        SHOW(syscall(SYS_bind, pair[0], bad, 2));
        SHOW(syscall(SYS_recvmsg, pair[0], bad, 0));
        SHOW(syscall(SYS_sendto, pair[0], bad, 1, 0, NULL, 0));
    }
    // Nothing was read away or written.
    SHOW(lseek(fd, 0, SEEK_END));
    char content[16];
    SHOW(read(pair[0], content, sizeof content));
    return guest_status();
}
