// A receive takes all that is there, however much: who reads by edges takes a short count for the end of the data
#include "../guest.h"
#include "loopback.h"

#include <sys/epoll.h>

enum { TOTAL = 24 << 20, ROOM = 3 << 20 };

static void *send_all(void *argument)
{
    static char data[1 << 20];
    int fd = *(int *)argument;
    memset(data, 'x', sizeof data);
    for (long sent = 0; sent < TOTAL;)
        sent += MUST(write(fd, data, sizeof data));
    return NULL;
}

// Receives everything, waiting for an edge after each short count. The last byte is the sender's end.
static long by_edges(int fd, bool receive)
{
    static char data[ROOM];
    int set = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    long total = 0;
    while (total < TOTAL) {
        if (MUST(epoll_wait(set, &event, 1, 10000)) == 0)
            break;
        long got;
        do {
            got = receive ? recv(fd, data, sizeof data, 0) : read(fd, data, sizeof data);
            total += got > 0 ? got : 0;
        } while (got == ROOM);
    }
    close(set);
    return total;
}

int main(void)
{
    for (int receive = 0; receive < 2; receive++) {
        int pair[2];
        tcp_pair(pair);
        MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK));
        pthread_t sender = guest_thread(send_all, &pair[1]);
        SHOW(by_edges(pair[0], receive));
        pthread_join(sender, NULL);
        close(pair[0]);
        close(pair[1]);
    }

    // A pipe of a mebibyte gives it up at once.
    static char data[2 << 20];
    int ends[2];
    MUST(pipe(ends));
    SHOW(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20));
    SHOW(write(ends[1], data, 1 << 20));
    SHOW(read(ends[0], data, sizeof data));
    return guest_status();
}
