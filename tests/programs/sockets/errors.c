// socket, bind, listen and the calls on the wrong kind of descriptor.
#include "loopback.h"

int main(void)
{
    char byte;
    address where, same;
    SHOW(socket(9999, SOCK_STREAM, 0));
    SHOW(socket(AF_INET, 9, 0));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 5));
    int fd = bound_socket(SOCK_STREAM, &where);
    SHOW(bind(fd, (struct sockaddr *)&where, sizeof where));
    int other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(bind(other, (struct sockaddr *)&where, 3));
    same = where;
    // An address that no host has.
    same.sin_addr.s_addr = inet_addr("192.0.2.1");
    SHOW(bind(other, (struct sockaddr *)&same, sizeof same));
    same = where;
    same.sin_family = AF_UNIX;
    SHOW(bind(other, (struct sockaddr *)&same, sizeof same));
    SHOW(bind(other, (struct sockaddr *)&where, sizeof where));
    SHOW(listen(0, 1));
    SHOW(listen(99, 1));
    SHOW(send(0, "x", 1, 0));
    SHOW(recv(99, &byte, 1, 0));
    SHOW(shutdown(0, SHUT_RD));
    SHOW(connect(0, (struct sockaddr *)&where, sizeof where));
    SHOW(bind(0, (struct sockaddr *)&where, sizeof where));
    SHOW(send(other, "x", 1, MSG_NOSIGNAL));
    SHOW(recv(other, &byte, 1, 0));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(pread(fd, &byte, 1, 0));
    SHOW(recv(fd, &byte, 1, MSG_OOB));
    struct stat status;
    MUST(fstat(fd, &status));
    CHECK(S_ISSOCK(status.st_mode));
    return guest_status();
}
