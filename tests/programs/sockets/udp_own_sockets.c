// Datagrams between sockets of one program: who takes what, where it comes from, what is lost.
#include "loopback.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static void show(const char *what, int fd, const address *known, int count)
{
    char content[32] = "";
    address from;
    socklen_t size = sizeof from;
    long got = recvfrom(fd, content, sizeof content, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (got < 0) {
        printf("%s: %s\n", what, guest_error_name(errno));
        return;
    }
    int who = -1;
    for (int i = 0; i < count; i++)
        if (known[i].sin_port == from.sin_port)
            who = i;
    printf("%s: %ld \"%s\" from %d %s\n", what, got, content, who, inet_ntoa(from.sin_addr));
}

static void send_to(int fd, const char *text, const address *to)
{
    SHOW(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)to, sizeof *to));
}

int main(void)
{
    address where[3];
    int fd[3], available = -1;
    for (int i = 0; i < 3; i++)
        fd[i] = bound_socket(SOCK_DGRAM, &where[i]);
    send_to(fd[1], "one", &where[0]);
    send_to(fd[2], "two", &where[0]);
    send_to(fd[0], "self", &where[0]);
    SHOW(ioctl(fd[0], FIONREAD, &available));
    SHOW(available);
    for (int i = 0; i < 4; i++)
        show("unconnected", fd[0], where, 3);

    // Connected: only its peer's datagrams come; what was there before stays.
    send_to(fd[2], "before", &where[0]);
    SHOW(connect_to(fd[0], &where[1]));
    send_to(fd[1], "from the peer", &where[0]);
    send_to(fd[2], "from another", &where[0]);
    for (int i = 0; i < 3; i++)
        show("connected", fd[0], where, 3);
    SHOW(send(fd[0], "sent", 4, 0));
    SHOW(write(fd[0], "written", 7));
    SHOW(write(fd[0], "", 0));
    for (int i = 0; i < 4; i++)
        show("peer", fd[1], where, 3);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    SHOW(connect(fd[0], &none, sizeof none));
    // A port that the kernel has chosen goes with the peer.
    address name, from;
    socklen_t size = sizeof name;
    MUST(getsockname(fd[0], (struct sockaddr *)&name, &size));
    SHOW(name.sin_port);
    MUST(close(fd[0]));
    fd[0] = bound_socket(SOCK_DGRAM, &where[0]);

    // Without an address of its own a socket gets one when it sends, and answers find it.
    int fresh = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    send_to(fresh, "hello", &where[0]);
    MUST(getsockname(fresh, (struct sockaddr *)&name, &size));
    CHECK(name.sin_port != 0 && name.sin_addr.s_addr == 0);
    char content[32];
    SHOW(recvfrom(fd[0], content, sizeof content, 0, (struct sockaddr *)&from, &size));
    CHECK(from.sin_port == name.sin_port && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    send_to(fd[0], "answer", &from);
    show("fresh", fresh, where, 3);

    // A socket at every address, reached by each; cut off with MSG_TRUNC; peeked at.
    int wide = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    address any = {.sin_family = AF_INET};
    MUST(bind(wide, (struct sockaddr *)&any, sizeof any));
    MUST(getsockname(wide, (struct sockaddr *)&any, &size));
    const char *targets[] = {"127.0.0.1", "127.0.0.9", "0.0.0.0"};
    for (int i = 0; i < 3; i++) {
        inet_pton(AF_INET, targets[i], &any.sin_addr);
        send_to(fd[1], targets[i], &any);
        show("wide", wide, where, 3);
    }
    send_to(fd[1], "long message", &any);
    SHOW(recv(wide, content, 4, MSG_PEEK | MSG_TRUNC));
    SHOW(recv(wide, content, 4, 0));
    SHOW(recv(wide, content, 4, MSG_DONTWAIT));
    struct pollfd poller = {.fd = wide, .events = POLLIN | POLLOUT};
    SHOW(poll(&poller, 1, 0));
    SHOW(poller.revents == POLLOUT);
    send_to(fd[1], "", &any);
    SHOW(poll(&poller, 1, -1));
    SHOW(poller.revents == (POLLIN | POLLOUT));
    SHOW(recv(wide, content, 4, 0));

    // From a child.
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(sendto(fd[1], "child", 5, 0, (struct sockaddr *)&where[2], sizeof where[2]));
        _exit(0);
    }
    SHOW(recv(fd[2], content, sizeof content, 0));
    MUST(waitpid(child, NULL, 0));
    MUST(close(fd[2]));
    send_to(fd[0], "nobody", &where[2]);
    return guest_status();
}
