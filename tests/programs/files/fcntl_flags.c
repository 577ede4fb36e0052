// fcntl F_GETFL, F_SETFL, F_GETFD, F_SETFD: which flags stay, which can change.
#include "../guest.h"

static void print(int fd)
{
    long flags = MUST(fcntl(fd, F_GETFL));
    printf("access=%ld append=%d nonblock=%d creat=%d trunc=%d cloexec=%d path=%d\n",
           flags & O_ACCMODE, !!(flags & O_APPEND), !!(flags & O_NONBLOCK), !!(flags & O_CREAT),
           !!(flags & O_TRUNC), !!(flags & O_CLOEXEC), !!(flags & O_PATH));
}

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
    print(fd);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFD, 0));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_RDWR));
    print(fd);
    SHOW(fcntl(fd, F_SETFL, 0));
    print(fd);

    int reader = MUST(open("file", O_RDONLY));
    print(reader);
    int path = MUST(open("file", O_PATH));
    print(path);
    SHOW(fcntl(path, F_SETFL, O_APPEND));
    int ends[2];
    MUST(pipe2(ends, O_NONBLOCK));
    print(ends[0]);
    print(ends[1]);
    SHOW(fcntl(99, F_GETFL));
    SHOW(fcntl(fd, 9999));
    return guest_status();
}
