// fallocate: growing, FALLOC_FL_KEEP_SIZE, punching a hole, and what it refuses.
#include "../guest.h"

static long size(int fd)
{
    struct stat status;
    MUST(fstat(fd, &status));
    return status.st_size;
}

int main(void)
{
    char content[8192];
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    SHOW(fallocate(fd, 0, 0, 4096));
    SHOW(size(fd));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
    SHOW(size(fd));
    memset(content, 'x', sizeof content);
    MUST(pwrite(fd, content, sizeof content, 0));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 50));
    MUST(pread(fd, content, sizeof content, 0));
    CHECK(content[99] == 'x' && content[100] == 0 && content[149] == 0 && content[150] == 'x');
    SHOW(size(fd));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 50));
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(fallocate(fd, 0, -1, 10));
    SHOW(fallocate(99, 0, 0, 10));
    SHOW(fallocate(MUST(open("file", O_RDONLY)), 0, 0, 10));
    int ends[2];
    MUST(pipe(ends));
    SHOW(fallocate(ends[1], 0, 0, 10));
    return guest_status();
}
