// pidfd_getfd: a descriptor of another process becomes one's own.
#include "../guest.h"
#include <sys/pidfd.h>
#include <sys/wait.h>

int main(void)
{
    int ready[2], go[2], place;
    char content[8] = "";
    MUST(pipe(ready));
    MUST(pipe(go));
    pid_t child = MUST(fork());
    if (child == 0) {
        char byte;
        close(go[1]);
        int file = MUST(open("shared", O_CREAT | O_RDWR, 0644));
        MUST(write(file, "0123456789", 10));
        MUST(write(ready[1], &file, sizeof file));
        read(go[0], &byte, 1);
        _exit(0);
    }
    MUST(read(ready[0], &place, sizeof place));
    int fd = MUST(pidfd_open(child, 0));
    int taken = MUST(pidfd_getfd(fd, place, 0));
    SHOW(fcntl(taken, F_GETFD));
    // The same open file: the offset is its.
    SHOW(lseek(taken, 0, SEEK_CUR));
    SHOW(pread(taken, content, 4, 2));
    printf("%s\n", content);
    SHOW(pidfd_getfd(fd, 99, 0));
    SHOW(pidfd_getfd(fd, place, 1));
    SHOW(pidfd_getfd(0, place, 0));
    SHOW(pidfd_getfd(99, place, 0));
    MUST(close(go[1]));
    MUST(waitpid(child, NULL, 0));
    SHOW(pidfd_getfd(fd, place, 0));
    int own = MUST(pidfd_open(getpid(), 0));
    int again = MUST(pidfd_getfd(own, taken, 0));
    SHOW(lseek(again, 5, SEEK_SET));
    SHOW(lseek(taken, 0, SEEK_CUR));
    return guest_status();
}
