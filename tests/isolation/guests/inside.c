// Connections with nobody outside: a pair made when it starts, to itself while it serves, and to a process of its own.
#include "server.h"

static int near, far, back_port;

static int listening(int *port) {
    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int socket_ = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(socket_, (struct sockaddr *)&address, length));
    MUST(listen(socket_, 8));
    MUST(getsockname(socket_, (struct sockaddr *)&address, &length));
    *port = ntohs(address.sin_port);
    return socket_;
}

static int connected(int port) {
    struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}};
    int socket_ = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(socket_, (struct sockaddr *)&address, sizeof address));
    return socket_;
}

// The process at the back: says how many it has served.
static void serve_at_the_back(int inner) {
    char text[200];
    for (int served = 0;;) {
        int from = MUST(accept(inner, 0, 0));
        int got = MUST(read(from, text, 100));
        MUST(write(from, text, got + sprintf(text + got, " %d", ++served)));
        MUST(close(from));
    }
}

static void set_up(void) {
    int port, once = listening(&port), inner = listening(&back_port);
    near = connected(port);
    far = MUST(accept(once, 0, 0));
    MUST(close(once));
    if (MUST(fork()) == 0) {
        MUST(close(listener));
        serve_at_the_back(inner);
    }
    MUST(close(inner));
}

static void write_pair(const char *text) { MUST(write(near, text, strlen(text))); }

// What is in the pair with this, there and back.
static void read_pair(const char *text) {
    char there[4000] = {0};
    write_pair(text);
    MUST(read(far, there, sizeof there - 1));
    MUST(write(far, there, strlen(there)));
    memset(there, 0, sizeof there);
    MUST(read(near, there, sizeof there - 1));
    sprintf(answer, "%s ", there);
}

// A part of the answer comes from a request to itself; the second time it names itself as IPv6 does.
static void ask_itself(const char *text) {
    struct sockaddr_in own;
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    socklen_t length = sizeof own;
    MUST(getsockname(listener, (struct sockaddr *)&own, &length));
    mapped.sin6_port = own.sin_port;
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    for (int turn = 0; turn < 2; turn++) {
        char part[200] = {0};
        int outer = MUST(socket(turn ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
        if (turn) MUST(connect(outer, (struct sockaddr *)&mapped, sizeof mapped));
        else MUST(connect(outer, (struct sockaddr *)&own, sizeof own));
        MUST(write(outer, text, strlen(text)));
        int inner = MUST(accept(listener, 0, 0));
        MUST(write(inner, part, MUST(read(inner, part, sizeof part - 1))));
        MUST(close(inner));
        memset(part, 0, sizeof part);
        while (MUST(read(outer, part + strlen(part), sizeof part - 1 - strlen(part)))) {}
        MUST(close(outer));
        sprintf(answer + strlen(answer), "outer(%s) ", part);
    }
}

static void ask_back(const char *text) {
    char said[200] = {0};
    int back = connected(back_port);
    MUST(write(back, text, strlen(text)));
    while (MUST(read(back, said + strlen(said), sizeof said - 1 - strlen(said)))) {}
    MUST(close(back));
    sprintf(answer, "%s ", said);
}

static void die(const char *text) {
    write_pair(text);
    _exit(1);
}

static const struct action actions[] = {
    {"write", write_pair}, {"read", read_pair}, {"itself", ask_itself}, {"back", ask_back}, {"die", die}, {0},
};
