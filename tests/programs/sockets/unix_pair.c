// socketpair: stream, datagram and sequenced packets differ in their bounds and their end.
#include "../guest.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static void try(const char *name, int type)
{
    char content[16];
    int pair[2], got = -1;
    socklen_t size = sizeof got;
    puts(name);
    MUST(socketpair(AF_UNIX, type, 0, pair));
    MUST(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &got, &size));
    CHECK(got == type);
    SHOW(send(pair[0], "abc", 3, 0));
    SHOW(send(pair[0], "defgh", 5, 0));
    SHOW(recv(pair[1], content, 2, 0));
    SHOW(recv(pair[1], content, sizeof content, 0));
    SHOW(recv(pair[1], content, sizeof content, MSG_DONTWAIT));
    SHOW(write(pair[1], "back", 4));
    SHOW(read(pair[0], content, sizeof content));

    struct sockaddr_un name_of = {0};
    size = sizeof name_of;
    SHOW(getpeername(pair[0], (struct sockaddr *)&name_of, &size));
    SHOW(size);
    MUST(close(pair[1]));
    struct pollfd poller = {.fd = pair[0], .events = POLLIN | POLLOUT};
    SHOW(poll(&poller, 1, 0));
    printf("in=%d out=%d hup=%d\n", !!(poller.revents & POLLIN), !!(poller.revents & POLLOUT),
           !!(poller.revents & POLLHUP));
    SHOW(recv(pair[0], content, 1, MSG_DONTWAIT));
    SHOW(send(pair[0], "x", 1, MSG_NOSIGNAL));
}

int main(void)
{
    int pair[2];
    try("stream", SOCK_STREAM);
    try("datagram", SOCK_DGRAM);
    try("seqpacket", SOCK_SEQPACKET);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
    SHOW(read(pair[0], &(char){0}, 1));
    SHOW(fcntl(pair[1], F_GETFD));
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, pair));
    SHOW(socketpair(AF_UNIX, 99, 0, pair));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, guest_bad_pointer()));
    return guest_status();
}
