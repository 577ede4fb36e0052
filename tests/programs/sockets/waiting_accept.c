// Threads blocked in accept, recv and connect's peer go on when another thread acts.
#include "loopback.h"

static int listener, received[2];

static void *accept_one(void *unused)
{
    char byte;
    (void)unused;
    int fd = MUST(accept(listener, NULL, NULL));
    // Blocks until main has written; each thread takes a connection of its own.
    MUST(recv(fd, &byte, 1, 0));
    received[byte - '0'] = 1;
    MUST(send(fd, &byte, 1, 0));
    MUST(close(fd));
    return NULL;
}

int main(void)
{
    char byte;
    address where;
    listener = listening_socket(0, &where);
    pthread_t threads[2] = {guest_thread(accept_one, NULL), guest_thread(accept_one, NULL)};
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        SHOW(connect_to(fds[i], &where));
    }
    for (int i = 1; i >= 0; i--) {
        byte = (char)('0' + i);
        SHOW(send(fds[i], &byte, 1, 0));
        SHOW(recv(fds[i], &byte, 1, 0));
        CHECK(byte == '0' + i);
        SHOW(recv(fds[i], &byte, 1, 0));
    }
    for (int i = 0; i < 2; i++)
        SHOW_CODE(pthread_join(threads[i], NULL));
    CHECK(received[0] && received[1]);
    return guest_status();
}
