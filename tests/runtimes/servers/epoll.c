// An edge-triggered epoll loop over sockets that never block.
#include <sys/epoll.h>

#include "http.h"

struct connection {
    int fd;
    size_t sent;
    struct buffer in, out;
};

static void end(struct connection *connection) {
    close(connection->fd);
    free(connection->in.bytes);
    free(connection->out.bytes);
    free(connection);
}

static void welcome(int set, int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = connection}};
        epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    }
}

// Reads and writes until neither goes on; whether the connection lives.
static int advance(struct connection *connection) {
    char data[16384];
    ssize_t got, size;
    while ((got = read(connection->fd, data, sizeof data)) > 0) append(&connection->in, data, got);
    if (got == 0 || errno != EAGAIN) return 0;
    while (answer(&connection->in, &connection->out)) {}
    while (connection->sent < connection->out.length) {
        char *rest = connection->out.bytes + connection->sent;
        size = write(connection->fd, rest, connection->out.length - connection->sent);
        if (size < 0) return errno == EAGAIN;
        connection->sent += size;
    }
    connection->out.length = connection->sent = 0;
    return 1;
}

int main(void) {
    int listener = listening(SOCK_NONBLOCK), set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.ptr = NULL}}, events[16];
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(set, events, 16, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) welcome(set, listener);
            else if (!advance(connection)) end(connection);
        }
    }
}
