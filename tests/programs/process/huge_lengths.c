// Lengths far beyond anything: refused or cut, never believed.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

int main(void)
{
    // Not on the stack, which may end less than a GiB below the kernel's half.
    static char page[4096];
    unsigned long huge = UINT64_C(1) << 62, negative = -1ul;
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644)), pair[2], epoll = MUST(epoll_create1(0));
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    MUST(write(fd, "content", 7));
    MUST(lseek(fd, 0, SEEK_SET));
    // Only what is there is read; a buffer that would reach into the kernel's half is no buffer.
    SHOW(syscall(SYS_read, fd, page, 1 << 30));
    SHOW(syscall(SYS_read, fd, page, INT64_MAX - 4096));
    SHOW(syscall(SYS_read, fd, page, negative));
    SHOW(syscall(SYS_write, fd, page, negative));
    SHOW(syscall(SYS_pread64, fd, page, 1, huge));
    SHOW(syscall(SYS_pwrite64, fd, page, 1, INT64_MAX));
    SHOW(syscall(SYS_readv, fd, page, negative));
    SHOW(syscall(SYS_writev, fd, page, 1025));
    SHOW(syscall(SYS_poll, page, 0x7fffffff, 0));
    SHOW(syscall(SYS_select, 0x7fffffff, NULL, NULL, NULL, &(long[2]){0, 0}));
    SHOW(syscall(SYS_epoll_wait, epoll, page, 0x7fffffff, 0));
    CHECK(syscall(SYS_getcwd, page, negative) > 1);
    SHOW(syscall(SYS_readlink, "/proc/self/exe", page, -1));
    CHECK(syscall(SYS_getgroups, 0x7fffffff, page) >= 0);
    SHOW(syscall(SYS_getsockname, pair[0], page, &(int){-1}));
    SHOW(syscall(SYS_bind, pair[0], page, 0x7fffffff));
    SHOW(syscall(SYS_bind, pair[0], page, negative));
    SHOW(syscall(SYS_setsockopt, pair[0], SOL_SOCKET, SO_RCVBUF, page, negative));
    SHOW(syscall(SYS_mmap, NULL, huge, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(syscall(SYS_munmap, page, huge));
    CHECK(syscall(SYS_mremap, (unsigned long)page & ~4095ul, 4096, huge, MREMAP_MAYMOVE) == -1); // ENOMEM on older Linux
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, page, NULL, huge));
    SHOW(syscall(SYS_listen, pair[0], 0x7fffffff));
    struct iovec parts[2] = {{page, huge}, {page, huge}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = huge};
    SHOW(syscall(SYS_sendmsg, pair[0], &message, 0));
    message = (struct msghdr){.msg_control = page, .msg_controllen = huge};
    SHOW(syscall(SYS_sendmsg, pair[0], &message, 0));
    return guest_status();
}
