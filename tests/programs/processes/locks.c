// Record locks belong to processes, flock's to what fork shares.
#include "../guest.h"
#include <sys/file.h>
#include <sys/wait.h>

static struct flock lock_of(short type, long start, long length)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

int main(void)
{
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600)), status, there[2], back[2];
    char byte;
    MUST(pipe(there));
    MUST(pipe(back));
    struct flock lock = lock_of(F_WRLCK, 0, 10);
    MUST(fcntl(fd, F_SETLK, &lock));
    MUST(flock(fd, LOCK_EX));
    pid_t child = MUST(fork());
    if (child == 0) {
        lock = lock_of(F_RDLCK, 5, 1);
        SHOW(fcntl(fd, F_SETLK, &lock));
        SHOW(flock(fd, LOCK_EX | LOCK_NB));
        int again = MUST(open("file", O_RDWR));
        SHOW(flock(again, LOCK_SH | LOCK_NB));
        lock = lock_of(F_WRLCK, 20, 10);
        SHOW(fcntl(fd, F_SETLK, &lock));
        MUST(write(back[1], "x", 1));
        MUST(read(there[0], &byte, 1));
        lock = lock_of(F_WRLCK, 0, 10);
        SHOW(fcntl(fd, F_SETLKW, &lock)); // until the parent lets go
        exit(guest_status());
    }
    MUST(read(back[0], &byte, 1));
    lock = lock_of(F_WRLCK, 15, 10);
    MUST(fcntl(fd, F_GETLK, &lock));
    CHECK(lock.l_pid == child);
    printf("%d from %ld, %ld\n", lock.l_type, (long)lock.l_start, (long)lock.l_len);
    MUST(write(there[1], "x", 1));
    lock = lock_of(F_UNLCK, 0, 10);
    MUST(fcntl(fd, F_SETLK, &lock));
    MUST(waitpid(child, &status, 0));
    lock = lock_of(F_WRLCK, 0, 0);
    SHOW(fcntl(fd, F_SETLK, &lock)); // a process's end gives up its locks
    return status || guest_status();
}
