// Unix sockets with a path: a file appears, connects, and outlives the socket.
#include "../guest.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
    char content[16];
    struct stat status;
    struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "socket"}, name;
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof "socket";
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(bind(listener, (struct sockaddr *)&where, size));
    MUST(stat("socket", &status));
    CHECK(S_ISSOCK(status.st_mode));
    int other = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(bind(other, (struct sockaddr *)&where, size));
    SHOW(connect(other, (struct sockaddr *)&where, size));
    SHOW(listen(listener, 4));
    SHOW(connect(other, (struct sockaddr *)&where, size));
    size = sizeof name;
    int server = MUST(accept(listener, (struct sockaddr *)&name, &size));
    // The client has no name: only the family comes back.
    SHOW(size);
    SHOW(send(other, "hello", 5, 0));
    SHOW(recv(server, content, sizeof content, 0));
    size = sizeof name;
    MUST(getpeername(other, (struct sockaddr *)&name, &size));
    printf("%u %s\n", size, name.sun_path);

    SHOW(open("socket", O_RDWR));
    MUST(close(listener));
    int third = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    size = sizeof where;
    SHOW(connect(third, (struct sockaddr *)&where, size));
    SHOW(unlink("socket"));
    SHOW(connect(third, (struct sockaddr *)&where, size));
    SHOW(bind(third, (struct sockaddr *)&where, size));
    int datagram = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    SHOW(connect(datagram, (struct sockaddr *)&where, size));
    SHOW(sendto(datagram, "x", 1, 0, (struct sockaddr *)&where, size));
    strcpy(where.sun_path, "missing/socket");
    SHOW(bind(datagram, (struct sockaddr *)&where, size));
    return guest_status();
}
