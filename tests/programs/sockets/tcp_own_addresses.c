// Connecting to a listening socket of the program's own by every address that leads there; what the ends are called.
#include "loopback.h"
#include <poll.h>
#include <sys/wait.h>

static void print(const char *what, int fd, int (*get)(int, struct sockaddr *, socklen_t *), int port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } name;
    char text[INET6_ADDRSTRLEN];
    socklen_t size = sizeof name;
    MUST(get(fd, &name.any, &size));
    bool four = name.any.sa_family == AF_INET;
    inet_ntop(name.any.sa_family, four ? (void *)&name.four.sin_addr : (void *)&name.six.sin6_addr, text, sizeof text);
    printf(" %s %s %s", what, text, (four ? name.four.sin_port : name.six.sin6_port) == port ? "served" : "other");
}

static void try(const char *target, int listener, int port)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = port};
    bool is_six = strchr(target, ':');
    inet_pton(is_six ? AF_INET6 : AF_INET, target, is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr);
    int client = MUST(socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
    printf("%s:", target);
    if (connect(client, is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four,
                is_six ? sizeof six : sizeof four)) {
        printf(" %s\n", guest_error_name(errno));
        MUST(close(client));
        return;
    }
    int server = MUST(accept(listener, NULL, NULL));
    print("client", client, getsockname, port);
    print("to", client, getpeername, port);
    print("server", server, getsockname, port);
    puts("");
    char byte = 0;
    MUST(write(client, "x", 1));
    CHECK(read(server, &byte, 1) == 1 && byte == 'x');
    MUST(close(client));
    CHECK(read(server, &byte, 1) == 0);
    MUST(close(server));
}

static int listen_at(int family, const char *at, int only_six)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    int fd = MUST(socket(family, SOCK_STREAM, 0));
    if (family == AF_INET) {
        inet_pton(AF_INET, at, &four.sin_addr);
        MUST(bind(fd, (struct sockaddr *)&four, sizeof four));
    } else {
        inet_pton(AF_INET6, at, &six.sin6_addr);
        MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_six, sizeof only_six));
        MUST(bind(fd, (struct sockaddr *)&six, sizeof six));
    }
    MUST(listen(fd, 4));
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in6 name;
    socklen_t size = sizeof name;
    MUST(getsockname(fd, (struct sockaddr *)&name, &size));
    return name.sin6_port;
}

int main(void)
{
    const char *targets[] = {"127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"};
    struct {
        int family;
        const char *at;
        int only_six;
    } listeners[] = {{AF_INET, "127.0.0.1", 0}, {AF_INET, "0.0.0.0", 0}, {AF_INET6, "::1", 0},
                     {AF_INET6, "::", 0},       {AF_INET6, "::", 1},     {AF_INET, "127.0.0.2", 0}};
    for (unsigned i = 0; i < sizeof listeners / sizeof *listeners; i++) {
        int listener = listen_at(listeners[i].family, listeners[i].at, listeners[i].only_six);
        printf("at %s%s\n", listeners[i].at, listeners[i].only_six ? ", IPv6 only" : "");
        for (unsigned j = 0; j < sizeof targets / sizeof *targets; j++)
            try(targets[j], listener, port_of(listener));
        MUST(close(listener));
    }

    // A bound client keeps its port; connecting again says that it is connected, and AF_UNSPEC dissolves it.
    address where, own = any_port();
    int listener = listening_socket(0, &where), client = bound_socket(SOCK_STREAM, &own);
    SHOW(connect_to(client, &where));
    SHOW(connect_to(client, &where));
    address peer;
    socklen_t size = sizeof peer;
    int server = MUST(accept(listener, (struct sockaddr *)&peer, &size));
    CHECK(memcmp(&peer, &own, sizeof own) == 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    SHOW(connect(client, &none, sizeof none));
    char byte;
    SHOW(read(server, &byte, 1));
    SHOW(getpeername(client, (struct sockaddr *)&peer, &size));
    SHOW(connect_to(client, &where));
    MUST(close(client));

    // Connections that nobody has accepted end with their listening socket.
    client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    int other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(accept(listener, NULL, NULL));
    SHOW(connect_to(client, &where));
    SHOW(shutdown(listener, SHUT_RD));
    SHOW(read(client, &byte, 1));
    SHOW(connect_to(other, &where));
    MUST(close(listener));

    // Two processes: the child serves what the parent asks.
    listener = listening_socket(0, &where);
    pid_t child = MUST(fork());
    if (child == 0) {
        int fd = MUST(accept(listener, NULL, NULL));
        char content[8];
        long got = MUST(read(fd, content, sizeof content));
        MUST(write(fd, content, got));
        _exit(0);
    }
    MUST(close(listener));
    client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(connect_to(client, &where));
    SHOW(write(client, "asked", 5));
    char content[16] = "";
    SHOW(read(client, content, sizeof content));
    puts(content);
    SHOW(read(client, content, sizeof content));
    MUST(waitpid(child, NULL, 0));
    return guest_status();
}
