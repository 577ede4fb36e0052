// flock, record locks and open-file-description locks, all within one process.
#include "../guest.h"
#include <sys/file.h>

static long lock(int fd, int command, short type, long start, long length)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    long result = fcntl(fd, command, &range);
    if (result == 0 && (command == F_GETLK || command == F_OFD_GETLK))
        printf("type=%d start=%ld length=%ld\n", range.l_type, (long)range.l_start,
               (long)range.l_len);
    return result;
}

int main(void)
{
    int one = MUST(open("file", O_CREAT | O_RDWR, 0644));
    int two = MUST(open("file", O_RDWR));
    int reader = MUST(open("file", O_RDONLY));

    SHOW(flock(one, LOCK_EX));
    SHOW(flock(two, LOCK_EX | LOCK_NB));
    SHOW(flock(two, LOCK_SH | LOCK_NB));
    SHOW(flock(one, LOCK_SH | LOCK_NB));
    SHOW(flock(two, LOCK_SH | LOCK_NB));
    SHOW(flock(one, LOCK_UN));
    SHOW(flock(two, LOCK_UN));
    SHOW(flock(two, 0));

    // Record locks belong to the process: its own never conflict.
    SHOW(lock(one, F_SETLK, F_WRLCK, 0, 10));
    SHOW(lock(two, F_SETLK, F_WRLCK, 5, 10));
    SHOW(lock(two, F_GETLK, F_WRLCK, 0, 0));
    SHOW(lock(reader, F_SETLK, F_WRLCK, 0, 1));
    SHOW(lock(one, F_SETLK, F_RDLCK, -1, 1));
    SHOW(lock(one, F_SETLK, 99, 0, 1));
    SHOW(lock(one, F_SETLK, F_UNLCK, 0, 0));

    SHOW(lock(one, F_OFD_SETLK, F_WRLCK, 0, 10));
    SHOW(lock(two, F_OFD_SETLK, F_WRLCK, 5, 10));
    SHOW(lock(two, F_OFD_SETLK, F_WRLCK, 10, 10));
    SHOW(lock(two, F_OFD_GETLK, F_RDLCK, 0, 5));
    SHOW(close(one));
    SHOW(lock(two, F_OFD_SETLK, F_WRLCK, 0, 10));
    return guest_status();
}
