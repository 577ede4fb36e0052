// splice, tee, vmsplice: moving and copying between pipes and a file.
#include "../guest.h"
#include <sys/uio.h>

int main(void)
{
    char content[32];
    int one[2], two[2], fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(pipe2(one, O_NONBLOCK));
    MUST(pipe2(two, O_NONBLOCK));
    MUST(write(fd, "0123456789", 10));

    off_t offset = 2;
    SHOW(splice(fd, &offset, one[1], NULL, 5, 0));
    SHOW(offset);
    SHOW(tee(one[0], two[1], 3, 0));
    SHOW(read(one[0], content, sizeof content));
    printf("%.5s\n", content);
    SHOW(read(two[0], content, sizeof content));
    printf("%.3s\n", content);

    MUST(write(one[1], "abc", 3));
    SHOW(splice(one[0], NULL, two[1], NULL, 2, 0));
    SHOW(read(two[0], content, sizeof content));
    offset = 8;
    SHOW(splice(one[0], NULL, fd, &offset, 10, 0));
    SHOW(pread(fd, content, sizeof content, 0));
    printf("%.10s\n", content);
    SHOW(splice(one[0], NULL, two[1], NULL, 1, SPLICE_F_NONBLOCK));
    SHOW(tee(one[0], two[1], 1, SPLICE_F_NONBLOCK));
    MUST(lseek(fd, 0, SEEK_END));
    SHOW(splice(fd, NULL, one[1], NULL, 1, 0));

    struct iovec parts[2] = {{"vm", 2}, {"splice", 6}};
    SHOW(vmsplice(one[1], parts, 2, 0));
    SHOW(read(one[0], content, sizeof content));
    printf("%.8s\n", content);
    SHOW(splice(one[0], &offset, two[1], NULL, 1, 0));
    SHOW(splice(fd, NULL, fd, NULL, 1, 0));
    SHOW(tee(one[0], one[1], 1, 0));
    SHOW(splice(99, NULL, one[1], NULL, 1, 0));
    return guest_status();
}
