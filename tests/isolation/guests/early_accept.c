// Servers that do something when they have accepted a connection, and only then read the request. First argument: how it
// waits; second argument: what it does before that.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(call) must((long)(call), #call)

static long must(long result, const char *what) {
    if (result == -1) {
        perror(what);
        exit(99);
    }
    return result;
}

static int accepted, counted;
static char known[64];

// What a program may do before the freeze: it is the same for every connection, and shows nobody.
static void nothing(int connection) {}

static void option(int connection) {
    int on = 1, idle = 77;
    struct timeval time = {.tv_sec = 7};
    struct linger linger = {.l_onoff = 1, .l_linger = 3};
    MUST(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    MUST(setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    MUST(setsockopt(connection, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle));
    MUST(setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    MUST(setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

static void early_read(int connection) {
    char byte;
    if (recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN) return;
    strcpy(known, "early");
}

static void monotonic(int connection) {
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now));
}

// What may not: who connects, when, luck, or what others see.
static void peer(int connection) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    MUST(getpeername(connection, (struct sockaddr *)&address, &length));
    sprintf(known, "%d", ntohs(address.sin_port));
}

static void now(int connection) { sprintf(known, "%ld", (long)time(0)); }

static void luck(int connection) {
    unsigned number;
    MUST(getrandom(&number, sizeof number, 0));
    sprintf(known, "%u", number);
}

static void said(int connection) { MUST(write(2, "accepted\n", 9)); }

static void greeting(int connection) { MUST(write(connection, "hello ", 6)); }

static void child(int connection) {
    pid_t made = MUST(fork());
    if (made == 0) _exit(0);
    MUST(waitpid(made, 0, 0));
}

static void inode(int connection) {
    struct stat about;
    MUST(fstat(connection, &about));
}

static void other_option(int connection) {
    static int other = -1;
    int size = 1 << 16;
    if (other == -1) other = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(setsockopt(other, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
}

static const struct {
    const char *name;
    void (*act)(int connection);
} acts[] = {
    {"nothing", nothing}, {"option", option}, {"early-read", early_read}, {"monotonic", monotonic}, {"peer", peer},
    {"now", now}, {"luck", luck}, {"said", said}, {"greeting", greeting}, {"child", child}, {"inode", inode},
    {"other-option", other_option}, {0},
};

static void (*act)(int connection);
static int named;

static int next(int listener) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int connection = named ? accept(listener, (struct sockaddr *)&address, &length) : accept4(listener, 0, 0, 0);
    if (connection == -1) return -1;
    accepted++;
    if (named) sprintf(known, "%d", ntohs(address.sin_port));
    act(connection);
    return connection;
}

static int number(int connection, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    MUST(getsockopt(connection, level, name, &value, &length));
    return value;
}

// Reads a request and says what is known of its connection.
static void serve(int connection) {
    char request[4096], answer[512];
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    ssize_t got = read(connection, request, sizeof request);
    if (got > 0) {
        counted++;
        getpeername(connection, (struct sockaddr *)&address, &length);
        struct timeval time = {0};
        struct linger linger = {0};
        length = sizeof time;
        MUST(getsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &time, &length));
        length = sizeof linger;
        MUST(getsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, &length));
        int size = sprintf(answer, "%d accepted, %d counted, from %d, known %s; %d %d %d %ld %d\n", accepted, counted,
                           ntohs(address.sin_port), known, number(connection, IPPROTO_TCP, TCP_NODELAY),
                           number(connection, SOL_SOCKET, SO_KEEPALIVE), number(connection, IPPROTO_TCP, TCP_KEEPIDLE),
                           (long)time.tv_sec, linger.l_linger);
        MUST(write(connection, answer, size));
    } else if (got == 0) {
        MUST(write(2, "nothing came\n", 13));
    }
    close(connection);
}

static void *serve_in_thread(void *connection) {
    serve((long)connection);
    return 0;
}

static void watch(int set, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void wait_for_all(int listener, int second, int timeout) {
    int set = MUST(epoll_create1(0));
    watch(set, listener);
    if (second != -1) watch(set, second);
    for (;;) {
        struct epoll_event event;
        if (MUST(epoll_wait(set, &event, 1, timeout)) == 0) continue;
        if (event.data.fd == listener || event.data.fd == second) {
            int connection = next(event.data.fd);
            if (connection != -1) watch(set, connection);
        } else {
            serve(event.data.fd);
        }
    }
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *how = arguments[1], *what = count > 2 ? arguments[2] : "nothing";
    for (int i = 0; acts[i].name; i++) {
        if (!strcmp(acts[i].name, what)) act = acts[i].act;
    }
    if (!strcmp(what, "name")) named = 1, act = nothing;
    if (!act) return 2;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 64));
    // Linux accepts nothing there before the first bytes.
    int seconds = 30;
    if (!strcmp(how, "deferred")) MUST(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds));
    if (!strcmp(how, "epoll") || !strcmp(how, "deferred")) wait_for_all(listener, -1, -1);
    // Something to do every 1.2 seconds: too soon for a fork to see a second of the time that it was frozen pass.
    if (!strcmp(how, "often")) wait_for_all(listener, -1, 1200);
    if (!strcmp(how, "both")) {
        int second = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(bind(second, (struct sockaddr *)&address, sizeof address));
        MUST(listen(second, 64));
        wait_for_all(listener, second, -1);
    }
    for (;;) {
        int connection = next(listener);
        if (connection == -1) continue;
        if (!strcmp(how, "thread")) {
            pthread_t thread;
            pthread_create(&thread, 0, serve_in_thread, (void *)(long)connection);
            pthread_detach(thread);
        } else {
            serve(connection);
        }
    }
}
