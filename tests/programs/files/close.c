// close, close_range: lowest free number, double close, ranges.
#include "../guest.h"

static void print_open(int first, int last)
{
    for (int fd = first; fd <= last; fd++)
        printf("%d:%s ", fd - first, fcntl(fd, F_GETFD) == -1 ? "closed"
                                     : fcntl(fd, F_GETFD) & FD_CLOEXEC ? "cloexec" : "open");
    printf("\n");
}

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    for (int i = 1; i < 6; i++)
        MUST(dup(fd));
    SHOW(close(fd + 2));
    SHOW(close(fd + 2));
    SHOW(close(fd + 4));
    CHECK(dup(fd) == fd + 2);
    CHECK(dup(fd) == fd + 4);
    SHOW(close(-1));
    SHOW(close(1000000));

    print_open(fd, fd + 5);
    SHOW(syscall(SYS_close_range, fd + 1, fd + 2, 0));
    print_open(fd, fd + 5);
    SHOW(syscall(SYS_close_range, fd, fd + 3, 4));
    print_open(fd, fd + 5);
    SHOW(syscall(SYS_close_range, fd + 4, ~0u, 0));
    print_open(fd, fd + 5);
    SHOW(syscall(SYS_close_range, 5, 4, 0));
    SHOW(syscall(SYS_close_range, 5, 6, 1 << 10));
    return guest_status();
}
