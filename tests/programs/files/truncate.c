// truncate, ftruncate: shrinking, growing with zeros, and what they refuse.
#include "../guest.h"

int main(void)
{
    char content[16];
    struct stat status;
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "abcdefgh", 8));
    SHOW(ftruncate(fd, 3));
    SHOW(ftruncate(fd, 10));
    SHOW(pread(fd, content, sizeof content, 0));
    CHECK(memcmp(content, "abc\0\0\0\0\0\0\0", 10) == 0);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(truncate("file", INT64_C(5) << 30));
    MUST(fstat(fd, &status));
    SHOW(status.st_size);
    SHOW(truncate("file", 0));
    SHOW(ftruncate(fd, -1));
    SHOW(truncate("file", -1));
    SHOW(truncate("missing", 0));
    SHOW(truncate(".", 0));
    int reader = MUST(open("file", O_RDONLY)), ends[2];
    SHOW(ftruncate(reader, 0));
    MUST(pipe(ends));
    SHOW(ftruncate(ends[1], 0));
    SHOW(ftruncate(99, 0));
    return guest_status();
}
