// Buffers that the program may not write to: what a read leaves in the pipe.
#include "../guest.h"
#include <sys/uio.h>

int main(void)
{
    char content[32], *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *end = page + 4096 - 4;
    int ends[2];
    struct iovec parts[] = {{content, 2}, {guest_bad_pointer(), 8}};
    MUST(munmap(page + 4096, 4096));
    MUST(pipe2(ends, O_NONBLOCK));
    SHOW(read(ends[0], guest_bad_pointer(), 8));
    MUST(write(ends[1], "precious", 8));
    SHOW(read(ends[0], guest_bad_pointer(), 8));
    SHOW(read(ends[0], guest_bad_pointer(), 0));
    SHOW(read(ends[0], end, 8));
    SHOW(readv(ends[0], parts, 2));
    SHOW(read(ends[0], end, 4));
    SHOW(read(ends[0], end, 8));
    printf("%.4s\n", end);
    MUST(close(ends[1]));
    SHOW(read(ends[0], guest_bad_pointer(), 8));
    return guest_status();
}
