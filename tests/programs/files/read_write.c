// read, write, pread, pwrite: the offset each one uses, end of file, a hole.
#include "../guest.h"

int main(void)
{
    char buffer[64] = "";
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    SHOW(write(fd, "hello, world", 12));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(read(fd, buffer, sizeof buffer));
    SHOW(pread(fd, buffer, 5, 7));
    printf("%.5s\n", buffer);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwrite(fd, "W", 1, 7));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(read(fd, buffer, 7));
    SHOW(read(fd, buffer, sizeof buffer));
    printf("%.5s\n", buffer);
    SHOW(pread(fd, buffer, 1, 12));
    SHOW(pread(fd, buffer, 1, -1));
    SHOW(pwrite(fd, "x", 1, -1));
    SHOW(read(fd, buffer, 0));
    SHOW(write(fd, buffer, 0));

    SHOW(pwrite(fd, "end", 3, 20));
    memset(buffer, '#', sizeof buffer);
    SHOW(pread(fd, buffer, sizeof buffer, 12));
    CHECK(memcmp(buffer, "\0\0\0\0\0\0\0\0end#", 12) == 0);

    SHOW(read(99, buffer, 1));
    SHOW(write(-1, buffer, 1));
    int ends[2];
    MUST(pipe(ends));
    SHOW(pread(ends[0], buffer, 1, 0));
    SHOW(pwrite(ends[1], "x", 1, 0));
    return guest_status();
}
