// A server that accepts all that has come whenever its edge-triggered epoll set tells of its listening socket.
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 64);
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = listener};
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    for (int count = 1;; ) {
        epoll_wait(set, &event, 1, -1);
        for (int connection; (connection = accept(listener, 0, 0)) >= 0; count++) {
            char request[1024];
            read(connection, request, sizeof request);
            dprintf(connection, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n%02d", count);
            close(connection);
        }
    }
}
