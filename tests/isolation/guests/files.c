// Requests that change descriptors, what is behind them, and the process's attributes.
#include "server.h"

#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static int pipes[2], full[2], pair[2], counter, timer, set, inner, member, own, signals, datagrams, unused, master;

static void set_up(void) {
    MUST(pipe(pipes));
    MUST(pipe2(full, O_NONBLOCK));
    MUST(write(full[1], "kept", 4));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    counter = MUST(eventfd(3, 0));
    timer = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
    member = MUST(eventfd(0, 0));
    set = MUST(epoll_create1(0));
    inner = MUST(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 7};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, member, &event));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, inner, &event));
    own = MUST(open("/proc/self/exe", O_RDONLY));
    MUST(lseek(own, 1000, SEEK_SET));
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    signals = MUST(signalfd(-1, &mask, 0));
    datagrams = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    unused = MUST(socket(AF_INET, SOCK_STREAM, 0));
    master = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    MUST(unlockpt(master));
}

static void open_more(const char *text) {
    MUST(open("/proc/self/exe", O_RDONLY));
    MUST(open("/dev/null", O_RDWR));
    MUST(open("/", O_PATH));
    MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(eventfd(1, 0));
    int more[2];
    MUST(pipe(more));
    MUST(write(more[1], text, strlen(text)));
}

static void dup_over(const char *text) {
    MUST(dup2(own, 0));
    MUST(dup2(pipes[1], counter));
    MUST(fcntl(own, F_DUPFD, 700));
}

static void close_some(const char *text) {
    MUST(close(counter));
    MUST(close(pipes[0]));
    MUST(close(set));
    MUST(close(0));
}

static void change_flags(const char *text) {
    MUST(fcntl(pipes[0], F_SETFL, O_NONBLOCK));
    MUST(fcntl(own, F_SETFD, FD_CLOEXEC));
}

static void change_owner(const char *text) {
    MUST(fcntl(pipes[0], F_SETOWN, getpid()));
    MUST(fcntl(pipes[0], F_SETSIG, SIGUSR2));
}

static void move_offset(const char *text) { MUST(lseek(own, 0, SEEK_SET)); }

static void fill_pipe(const char *text) {
    MUST(write(pipes[1], text, strlen(text)));
    char byte;
    MUST(read(full[0], &byte, 1));
}

static void size_pipe(const char *text) { MUST(fcntl(pipes[0], F_SETPIPE_SZ, 1 << 18)); }

static void fill_pair(const char *text) {
    MUST(write(pair[0], text, strlen(text)));
    MUST(shutdown(pair[0], SHUT_WR));
}

static void pass_files(const char *text) {
    struct iovec vector = {(char *)text, strlen(text)};
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = {{0}};
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &pair[0], sizeof(int));
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    MUST(sendmsg(pair[1], &message, 0));
    MUST(close(pair[1]));
}

static void count(const char *text) {
    uint64_t value = 5;
    MUST(write(counter, &value, 8));
}

static void arm_timer(const char *text) {
    struct itimerspec when = {{0, 1000000}, {0, 1}};
    MUST(timerfd_settime(timer, 0, &when, 0));
}

static void change_set(const char *text) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 8};
    MUST(epoll_ctl(set, EPOLL_CTL_MOD, member, &event));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pipes[0], &event));
    MUST(epoll_ctl(inner, EPOLL_CTL_ADD, counter, &event));
    MUST(epoll_ctl(set, EPOLL_CTL_DEL, inner, 0));
}

static void take_edge(const char *text) {
    uint64_t value = 1;
    struct epoll_event event;
    MUST(write(member, &value, 8));
    if (MUST(epoll_wait(set, &event, 1, -1)) != 1) strcat(answer, "no event ");
}

static void change_signalfd(const char *text) {
    sigset_t mask;
    sigfillset(&mask);
    MUST(signalfd(signals, &mask, 0));
}

static void use_terminal(const char *text) {
    struct winsize size = {1, 2, 3, 4};
    int slave = MUST(open(ptsname(master), O_RDWR | O_NOCTTY));
    MUST(write(slave, text, strlen(text)));
    MUST(write(master, text, strlen(text)));
    MUST(ioctl(master, TIOCSWINSZ, &size));
    MUST(posix_openpt(O_RDWR | O_NOCTTY));
}

static void lock(const char *text) { MUST(flock(own, LOCK_EX)); }

static void change_directory(const char *text) {
    MUST(chdir("/proc/self"));
    umask(0177);
}

static void change_limits(const char *text) {
    struct rlimit limit = {100, 100};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    limit = (struct rlimit){1 << 20, 1 << 20};
    MUST(setrlimit(RLIMIT_STACK, &limit));
}

static void change_attributes(const char *text) {
    MUST(prctl(PR_SET_DUMPABLE, 0));
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(prctl(PR_SET_TIMERSLACK, 12345));
    MUST(setpriority(PRIO_PROCESS, 0, 5));
    MUST(prctl(PR_SET_NAME, text));
}

static void change_listener(const char *text) {
    int one = 1, size = 100000;
    struct timeval time = {1, 0};
    MUST(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
    MUST(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
    MUST(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    MUST(setsockopt(listener, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one));
    socklen_t length = sizeof one;
    one = 0;
    MUST(getsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, &length));
    sprintf(answer, "%d ", one);
}

static void listen_again(const char *text) { MUST(listen(listener, 1)); }

static void shut_listener(const char *text) {
    MUST(shutdown(listener, SHUT_RDWR));
    int found = accept(listener, 0, 0);
    sprintf(answer, "%d %d ", found, errno == EINVAL);
}

static void disconnect_listener(const char *text) {
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    connect(listener, &nowhere, sizeof nowhere);
}

static void use_sockets(const char *text) {
    // Sockets that nobody had used: this request binds and connects them, and so can the next.
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int small = 5000;
    MUST(bind(datagrams, (struct sockaddr *)&address, sizeof address));
    MUST(getsockname(datagrams, (struct sockaddr *)&address, &length));
    MUST(connect(datagrams, (struct sockaddr *)&address, sizeof address));
    MUST(send(datagrams, text, strlen(text), 0));
    address.sin_port = 0;
    MUST(bind(unused, (struct sockaddr *)&address, sizeof address));
    MUST(setsockopt(unused, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    MUST(listen(unused, 5));
}

static void close_listener(const char *text) { MUST(close(listener)); }

static void look(const char *text) {
    int limit = 0, alive = 0, buffer = 0, waiting = 0;
    socklen_t length = sizeof alive;
    struct rlimit files;
    char directory[1000], name[16];
    for (int fd = 0; fd < 1000; fd++) limit += fcntl(fd, F_GETFD) >= 0;
    MUST(getsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &alive, &length));
    MUST(getsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, &length));
    MUST(getrlimit(RLIMIT_NOFILE, &files));
    MUST(getcwd(directory, sizeof directory));
    MUST(prctl(PR_GET_NAME, name));
    mode_t mask = umask(0);
    char left[100];
    struct sockaddr_in bound;
    length = sizeof bound;
    MUST(getsockname(unused, (struct sockaddr *)&bound, &length));
    waiting += bound.sin_port != 0;
    waiting += recv(datagrams, left, sizeof left, MSG_DONTWAIT) >= 0;
    MUST(poll((struct pollfd[]){{pipes[0], POLLIN, 0}, {pair[1], POLLIN, 0}, {timer, POLLIN, 0}}, 3, 0) + 1);
    sprintf(answer, "%d %d %d %d %lu %s %s %o %ld\n", limit, alive, buffer, waiting, files.rlim_cur, directory, name,
            mask, (long)lseek(own, 0, SEEK_CUR));
}

static const struct action actions[] = {
    {"open", open_more}, {"dup", dup_over}, {"close", close_some}, {"flags", change_flags}, {"offset", move_offset},
    {"owner", change_owner},
    {"pipe", fill_pipe}, {"pipe-size", size_pipe}, {"pair", fill_pair}, {"rights", pass_files}, {"count", count},
    {"timerfd", arm_timer}, {"epoll", change_set}, {"edge", take_edge}, {"signalfd", change_signalfd}, {"terminal", use_terminal}, {"lock", lock},
    {"directory", change_directory}, {"limits", change_limits}, {"attributes", change_attributes},
    {"listener-options", change_listener}, {"listen-again", listen_again}, {"shut-listener", shut_listener},
    {"disconnect-listener", disconnect_listener}, {"close-listener", close_listener}, {"use-sockets", use_sockets}, {"look", look}, {0},
};
