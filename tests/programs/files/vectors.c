// readv, writev, preadv, pwritev, preadv2: gathering, scattering and refused counts.
#include "../guest.h"
#include <sys/uio.h>

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    struct iovec out[3] = {{"one,", 4}, {NULL, 0}, {"two", 3}};
    SHOW(writev(fd, out, 3));

    char first[3] = "", second[8] = "";
    struct iovec in[2] = {{first, 2}, {second, 7}};
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(readv(fd, in, 2));
    printf("%s|%s\n", first, second);
    SHOW(readv(fd, in, 2));

    SHOW(pwritev(fd, out, 3, 2));
    memset(second, 0, sizeof second);
    SHOW(preadv(fd, in, 2, 1));
    printf("%s|%s\n", first, second);
    SHOW(lseek(fd, 0, SEEK_CUR));
    // Offset -1 means the descriptor's own offset in the "2" calls only.
    SHOW(lseek(fd, 6, SEEK_SET));
    SHOW(preadv2(fd, in, 1, -1, 0));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(preadv(fd, in, 1, -1));
    SHOW(preadv2(fd, in, 1, 0, 1 << 30));

    struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){"x", 1};
    SHOW(writev(fd, many, 1024));
    SHOW(writev(fd, many, 1025));
    SHOW(writev(fd, many, 0));
    SHOW(syscall(SYS_writev, fd, many, -1));
    struct iovec huge[2] = {{"x", 1}, {"x", (size_t)-1}};
    SHOW(writev(fd, huge, 2));
    struct iovec bad[2] = {{"x", 1}, {guest_bad_pointer(), 4}};
    MUST(lseek(fd, 0, SEEK_SET));
    SHOW(readv(fd, bad + 1, 1));
    SHOW(writev(fd, guest_bad_pointer(), 1));
    return guest_status();
}
