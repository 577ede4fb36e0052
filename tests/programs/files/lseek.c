// lseek: every whence, the ends, holes, and descriptors that cannot seek.
#include "../guest.h"

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 100));
    SHOW(lseek(fd, 10, SEEK_SET));
    SHOW(lseek(fd, 5, SEEK_CUR));
    SHOW(lseek(fd, -20, SEEK_CUR));
    SHOW(lseek(fd, -1, SEEK_END));
    SHOW(lseek(fd, 1000, SEEK_END));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 0, 99));
    SHOW(lseek(fd, INT64_MAX, SEEK_CUR));

    // Data in the second MiB only. Where a hole ends is the file system's choice, so compare.
    MUST(ftruncate(fd, 0));
    MUST(pwrite(fd, "data", 4, 1 << 20));
    MUST(ftruncate(fd, 4 << 20));
    long data = lseek(fd, 0, SEEK_DATA), hole = lseek(fd, 1 << 20, SEEK_HOLE);
    CHECK(data >= 0 && data <= 1 << 20);
    CHECK(hole > 1 << 20 && hole <= 4 << 20);
    SHOW(lseek(fd, 4 << 20, SEEK_DATA));
    SHOW(lseek(fd, 4 << 20, SEEK_HOLE));
    SHOW(lseek(fd, -1, SEEK_DATA));

    int ends[2];
    MUST(pipe(ends));
    SHOW(lseek(ends[0], 0, SEEK_CUR));
    SHOW(lseek(99, 0, SEEK_CUR));
    int copy = MUST(dup(fd));
    SHOW(lseek(fd, 77, SEEK_SET));
    SHOW(lseek(copy, 0, SEEK_CUR));
    return guest_status();
}
