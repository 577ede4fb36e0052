// Connections that wait to be accepted: how many, and what becomes of them.
#include "unix.h"
#include <sys/epoll.h>

int main(void)
{
    char content[8];
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    MUST(unix_bind(listener, "server"));
    MUST(listen(listener, 1));
    int set = MUST(epoll_create1(0));
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 1}};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, listener, &event));
    SHOW(epoll_wait(set, &event, 1, 0));
    int clients[3];
    for (int at = 0; at < 3; at++) {
        clients[at] = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        SHOW(unix_connect(clients[at], "server"));
        SHOW(epoll_wait(set, &event, 1, 0));
    }
    SHOW(write(clients[0], "early", 5));
    SHOW(listen(clients[0], 1));
    int first = MUST(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
    SHOW(read(first, content, sizeof content));
    SHOW(fcntl(first, F_GETFL) & O_NONBLOCK ? 1 : 0);
    SHOW(unix_connect(clients[0], "server"));
    SHOW(unix_connect(clients[2], "server"));
    // One that is gone before it was accepted.
    MUST(close(clients[1]));
    int second = MUST(accept(listener, NULL, NULL));
    SHOW(read(second, content, sizeof content));
    SHOW(write(clients[2], "x", 1));
    MUST(close(listener));
    SHOW(read(clients[2], content, sizeof content));
    SHOW(read(clients[2], content, sizeof content));
    int late = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(unix_connect(late, "server"));

    // Shut down, a listening socket takes nobody any more.
    listener = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    MUST(unix_bind(listener, "other"));
    MUST(listen(listener, 4));
    MUST(shutdown(listener, SHUT_RD));
    SHOW(unix_connect(late, "other"));
    SHOW(accept(listener, NULL, NULL));

    // One thread waits for another's connection.
    int again = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(unix_bind(again, "third"));
    MUST(listen(again, 4));
    pid_t child = MUST(fork());
    if (child == 0) {
        int fd = MUST(accept(again, NULL, NULL));
        char byte;
        MUST(read(fd, &byte, 1));
        MUST(write(fd, "answer", 6));
        _exit(0);
    }
    SHOW(unix_connect(late, "third"));
    SHOW(write(late, "q", 1));
    SHOW(recv(late, content, 6, MSG_WAITALL));
    MUST(waitpid(child, NULL, 0));
    return guest_status();
}
