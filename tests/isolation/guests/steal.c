// Requests that try to take the names of the snapshot's sockets: its TCP port, a UDP port, and the files of Unix sockets in
// the directory $SOCKETS.
#include "server.h"
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

static int datagrams;

static void say(long result) { strcat(strcat(answer, result < 0 ? strerrorname_np(errno) : "ok"), " "); }

static int shared_socket(int family, int kind) {
    int on = 1, fd = MUST(socket(family, kind, 0));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
    return fd;
}

static int unix_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    return result == 0 ? listen(fd, 8) : result;
}

static void set_up(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // The listening socket of server.h shares its port with nobody.
    MUST(close(listener));
    listener = shared_socket(AF_INET, SOCK_STREAM);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 64));
    datagrams = shared_socket(AF_INET, SOCK_DGRAM);
    socklen_t length = sizeof address;
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    MUST(bind(datagrams, (struct sockaddr *)&address, sizeof address));
    MUST(chdir(getenv("SOCKETS")));
    MUST(mkdir("a", 0700));
    MUST(mkdir("a/real", 0700));
    MUST(symlink("real", "a/link"));
    MUST(unix_socket("a/link/socket"));
    MUST(unix_socket("new"));
    MUST(rename("new", "renamed"));
}

// Binds and listens, or receives, at the port that the snapshot has, at this address.
static void take(const char *where, int kind) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in own, *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    socklen_t length = sizeof own;
    MUST(getsockname(kind == SOCK_STREAM ? connection : datagrams, (struct sockaddr *)&own, &length));
    address.ss_family = strchr(where, ':') ? AF_INET6 : AF_INET;
    inet_pton(address.ss_family, where, address.ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr);
    v4->sin_port = own.sin_port;
    int fd = shared_socket(address.ss_family, kind);
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    if (result == 0 && kind == SOCK_STREAM) result = listen(fd, 8);
    say(result);
    close(fd);
}

static void tcp(const char *where) { take(where, SOCK_STREAM); }

static void tcp_closed(const char *where) {
    close(listener);
    take(where, SOCK_STREAM);
}

static void udp(const char *where) { take(where, SOCK_DGRAM); }

static void remove_name(const char *path) {
    say(unlink(path));
    say(unix_socket(path));
}

static void rename_to(const char *names) {
    char from[100], to[100];
    sscanf(names, "%99s %99s", from, to);
    say(rename(from, to));
}

static void exchange(const char *names) {
    char from[100], to[100];
    sscanf(names, "%99s %99s", from, to);
    say(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE));
}

static void make(const char *path) { say(open(path, O_CREAT | O_WRONLY, 0600)); }

static void make_socket(const char *path) { say(unix_socket(path)); }

static const struct action actions[] = {
    {"tcp", tcp},       {"tcp-closed", tcp_closed}, {"udp", udp},   {"unlink", remove_name},
    {"rename", rename_to}, {"exchange", exchange},  {"make", make}, {"socket", make_socket}, {0},
};
