// sendfile: file to pipe, to socket and to file, with and without its own offset.
#include "../guest.h"
#include <sys/sendfile.h>
#include <sys/socket.h>

int main(void)
{
    char content[32] = "";
    int ends[2], pair[2], from = MUST(open("from", O_CREAT | O_RDWR, 0644));
    MUST(write(from, "0123456789", 10));
    MUST(pipe(ends));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));

    off_t offset = 2;
    SHOW(sendfile(ends[1], from, &offset, 3));
    SHOW(offset);
    SHOW(lseek(from, 0, SEEK_CUR));
    SHOW(read(ends[0], content, sizeof content));
    printf("%.3s\n", content);
    SHOW(sendfile(pair[0], from, NULL, 3));
    SHOW(lseek(from, 4, SEEK_SET));
    SHOW(sendfile(pair[0], from, NULL, 100));
    SHOW(lseek(from, 0, SEEK_CUR));
    SHOW(read(pair[1], content, sizeof content));
    printf("%.6s\n", content);

    int to = MUST(open("to", O_CREAT | O_RDWR, 0644));
    offset = 0;
    SHOW(sendfile(to, from, &offset, 10));
    SHOW(lseek(to, 0, SEEK_CUR));
    SHOW(sendfile(to, ends[0], NULL, 1));
    SHOW(sendfile(99, from, NULL, 1));
    SHOW(sendfile(to, 99, NULL, 1));
    SHOW(sendfile(MUST(open("to", O_RDONLY)), from, NULL, 1));
    offset = -1;
    SHOW(sendfile(to, from, &offset, 1));
    return guest_status();
}
