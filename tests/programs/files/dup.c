// dup, dup2, dup3, F_DUPFD: which number comes back, what is shared, what is not.
#include "../guest.h"

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    CHECK(dup(fd) == fd + 1);
    SHOW(write(fd, "abcdef", 6));
    SHOW(lseek(fd + 1, 0, SEEK_CUR));
    SHOW(dup2(fd, 20));
    CHECK(dup2(fd, fd) == fd);
    SHOW(dup2(99, 99));
    SHOW(dup2(99, 5));
    SHOW(dup2(fd, -1));
    SHOW(dup(99));
    SHOW(dup3(fd, fd, 0));
    SHOW(dup3(fd, 21, O_CLOEXEC));
    SHOW(dup3(fd, 21, O_APPEND));
    SHOW(fcntl(20, F_GETFD));
    SHOW(fcntl(21, F_GETFD));

    SHOW(fcntl(fd, F_DUPFD, 20));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 20));
    SHOW(fcntl(22, F_GETFD));
    SHOW(fcntl(23, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, -1));
    SHOW(fcntl(99, F_DUPFD, 0));

    // Status flags belong to the open file, the close-on-exec flag to the descriptor.
    MUST(fcntl(fd, F_SETFL, O_APPEND));
    CHECK(fcntl(20, F_GETFL) & O_APPEND);
    MUST(close(fd));
    SHOW(write(20, "gh", 2));
    // dup2 closes what it replaces.
    int ends[2];
    MUST(pipe(ends));
    MUST(dup2(20, ends[1]));
    char byte;
    SHOW(read(ends[0], &byte, 1));
    CHECK(dup(20) == fd + 3);
    return guest_status();
}
