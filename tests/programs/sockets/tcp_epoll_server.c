// A small event loop: a listener and its connections in one epoll, edge-triggered and not blocking.
#include "loopback.h"
#include <sys/epoll.h>

enum { CLIENTS = 8 };

static address where;

static void *be_clients(void *unused)
{
    int fds[CLIENTS], sum = 0;
    char answer;
    (void)unused;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(connect_to(fds[i], &where));
    }
    for (int i = CLIENTS - 1; i >= 0; i--) {
        char number = (char)i;
        MUST(write(fds[i], &number, 1));
        MUST(recv(fds[i], &answer, 1, MSG_WAITALL));
        sum += answer;
        MUST(close(fds[i]));
    }
    return (void *)(long)sum;
}

int main(void)
{
    int listener = listening_socket(SOCK_NONBLOCK, &where), epoll = MUST(epoll_create1(0));
    int accepted = 0, closed = 0, fd;
    struct epoll_event got[4], in = {EPOLLIN | EPOLLET, {.fd = listener}};
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &in));
    pthread_t thread = guest_thread(be_clients, NULL);
    while (closed < CLIENTS) {
        int ready = MUST(epoll_wait(epoll, got, 4, -1));
        for (int i = 0; i < ready; i++) {
            if (got[i].data.fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = fd}};
                    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
                    accepted++;
                }
                continue;
            }
            char number;
            long count;
            while ((count = read(got[i].data.fd, &number, 1)) > 0) {
                number = (char)(number * 2);
                MUST(write(got[i].data.fd, &number, 1));
            }
            if (count == 0) {
                MUST(close(got[i].data.fd));
                closed++;
            }
        }
    }
    SHOW(accepted);
    SHOW(closed);
    void *sum;
    SHOW_CODE(pthread_join(thread, &sum));
    SHOW((long)sum);
    return guest_status();
}
