// Asks a backend outside. It connects when it starts, or where LAZY is set when it is first asked; FAMILY and BACKEND say
// where: `tcp` or `udp` and a port, or `unix` and a path.
#include "server.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/un.h>

static int backend = -1, watch, connections;

static void connect_backend(void) {
    const char *family = getenv("FAMILY"), *where = getenv("BACKEND");
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {AF_INET, htons(atoi(where)), {htonl(INADDR_LOOPBACK)}};
    struct sockaddr *to = (struct sockaddr *)(*where == '/' ? (void *)&path : (void *)&address);
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET};
    strncpy(path.sun_path, where, sizeof path.sun_path - 1);
    if (backend >= 0) MUST(close(backend));
    backend = MUST(socket(to->sa_family, *family == 'u' && family[1] == 'd' ? SOCK_DGRAM : SOCK_STREAM, 0));
    MUST(connect(backend, to, *where == '/' ? sizeof path : sizeof address));
    MUST(epoll_ctl(watch, EPOLL_CTL_ADD, backend, &event));
    connections++;
}

static void set_up(void) {
    watch = MUST(epoll_create1(0));
    if (!getenv("LAZY")) connect_backend();
}

static int question(const char *text) {
    char line[200];
    if (backend < 0) connect_backend();
    return send(backend, line, sprintf(line, "%s\n", text), 0);
}

// One answer: a line, or a datagram, which is one. The length is 0 where there is no more.
static int reply(char *line) {
    int length = 0;
    while (!length || line[length - 1] != '\n') {
        int got = read(backend, line + length, getenv("FAMILY")[1] == 'd' ? 200 : 1);
        if (got <= 0) return 0;
        length += got;
    }
    line[length - 1] = 0;
    return length;
}

// As clients do that connect again when they find their connection lost.
static void ask(const char *text) {
    char line[201];
    while (question(text) < 0 || !reply(line)) connect_backend();
    sprintf(answer, "%s got %s, %d connections ", text, line, connections);
}

static void leave(const char *text) {
    while (question(text) < 0) connect_backend();
    _exit(1);
}

// What a program sees of its connection. Whoever waits for an edge is told of it too.
static void look(const char *text) {
    struct pollfd polled = {backend, POLLIN | POLLOUT | POLLRDHUP};
    struct epoll_event event = {0};
    char byte;
    int edges = epoll_wait(watch, &event, 1, 0);
    MUST(poll(&polled, 1, 0));
    int length = sprintf(answer, "poll %x, %d edge %x", polled.revents, edges, event.events);
    for (int turn = 0; turn < 2; turn++) {
        int got = *text == 'w' ? send(backend, "x", 1, 0) : read(backend, &byte, 1);
        length += sprintf(answer + length, ", %s", got < 0 ? strerrorname_np(errno) : got ? "some" : "end");
    }
    strcat(answer, " ");
}

static const struct action actions[] = {{"ask", ask}, {"GET", ask}, {"leave", leave}, {"look", look}, {0}};
