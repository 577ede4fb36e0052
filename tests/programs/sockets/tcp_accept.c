// accept4: flags, a listener that does not block, what an accepted socket inherits.
#include "loopback.h"
#include <poll.h>

int main(void)
{
    address where;
    int listener = listening_socket(SOCK_NONBLOCK, &where), clients[3];
    SHOW(accept4(listener, NULL, NULL, 0));
    SHOW(accept4(listener, NULL, NULL, 1));
    for (int i = 0; i < 3; i++) {
        clients[i] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(connect_to(clients[i], &where));
    }
    struct pollfd poller = {.fd = listener, .events = POLLIN | POLLOUT};
    SHOW(poll(&poller, 1, -1));
    CHECK(poller.revents == POLLIN);

    int flags[3] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC};
    for (int i = 0; i < 3; i++) {
        address client, accepted;
        socklen_t size = sizeof client;
        MUST(poll(&poller, 1, -1));
        MUST(getsockname(clients[i], (struct sockaddr *)&client, &size));
        int fd = MUST(accept4(listener, (struct sockaddr *)&accepted, &size, flags[i]));
        // Accepted in the order of connecting; O_NONBLOCK is not inherited.
        CHECK(accepted.sin_port == client.sin_port);
        printf("nonblock=%d cloexec=%d\n", !!(fcntl(fd, F_GETFL) & O_NONBLOCK), fcntl(fd, F_GETFD));
    }
    SHOW(poll(&poller, 1, 0));
    SHOW(accept(listener, NULL, NULL));
    SHOW(accept(clients[0], NULL, NULL));
    SHOW(accept(0, NULL, NULL));
    SHOW(accept(99, NULL, NULL));
    char byte;
    SHOW(read(listener, &byte, 1));
    SHOW(send(listener, "x", 1, MSG_NOSIGNAL));
    SHOW(shutdown(listener, SHUT_RDWR));
    SHOW(accept(listener, NULL, NULL));
    return guest_status();
}
