// memfd_create: a file without a directory; flags and the name in /proc.
#include "../guest.h"

int main(void)
{
    char path[64], target[64] = "", name[251];
    struct stat status;
    int fd = MUST(memfd_create("label", MFD_CLOEXEC));
    MUST(fstat(fd, &status));
    printf("size=%ld links=%ld\n", (long)status.st_size, (long)status.st_nlink);
    CHECK(S_ISREG(status.st_mode));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(write(fd, "content", 7));
    SHOW(pread(fd, target, 3, 4));
    printf("%.3s\n", target);
    SHOW(ftruncate(fd, 100000));
    SHOW(lseek(fd, 0, SEEK_END));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    MUST(readlink(path, target, sizeof target - 1));
    puts(target);
    // Opening the link gives the same file with an offset of its own.
    int again = MUST(open(path, O_RDWR));
    SHOW(read(again, target, 7));
    printf("%.7s\n", target);

    memset(name, 'n', 250);
    name[249] = 0;
    CHECK(memfd_create(name, 0) >= 0);
    name[249] = 'n', name[250] = 0;
    SHOW(memfd_create(name, 0));
    SHOW(memfd_create("x", 0x1000));
    SHOW(memfd_create(guest_bad_pointer(), 0));
    return guest_status();
}
