// A named Unix socket between two processes: who they are, and descriptors that go along.
#include "unix.h"

static void client(int type, pid_t parent)
{
    int ends[2], one = 1, fd = MUST(socket(AF_UNIX, type, 0));
    char content[8] = "";
    MUST(unix_bind(fd, "client"));
    MUST(unix_connect(fd, "server"));
    MUST(pipe(ends));
    MUST(unix_send(fd, "a pipe", NULL, &ends[1], 1));
    MUST(close(ends[1]));
    SHOW(read(ends[0], content, sizeof content));
    printf("%.7s\n", content);
    CHECK(unix_peer(fd) == parent);
    MUST(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    MUST(write(fd, "go", 2));
    struct unix_message got = unix_receive(fd);
    CHECK(got.has_sender && got.sender.pid == parent && got.sender.uid == getuid());
    SHOW(got.count);
    fflush(stdout);
    _exit(guest_status());
}

static void serve(int type)
{
    int status, listener = MUST(socket(AF_UNIX, type, 0));
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    MUST(unix_bind(listener, "server"));
    SHOW(accept(listener, NULL, NULL));
    MUST(listen(listener, 4));
    fflush(stdout);
    pid_t parent = getpid(), child = MUST(fork());
    if (child == 0)
        client(type, parent);
    struct pollfd one = {listener, POLLIN, 0};
    MUST(poll(&one, 1, 10000));
    int fd = MUST(accept(listener, (struct sockaddr *)&name, &size));
    printf("%s %u\n", name.sun_path, size);
    CHECK(unix_peer(fd) == child);
    size = sizeof name;
    MUST(getsockname(fd, (struct sockaddr *)&name, &size));
    printf("%s %u\n", name.sun_path, size);
    struct unix_message got = unix_receive(fd);
    printf("%s\n", got.content);
    if (CHECK(got.count == 1)) {
        MUST(write(got.fds[0], "through", 7));
        MUST(close(got.fds[0]));
    }
    got = unix_receive(fd);
    printf("%s %d\n", got.content, got.count);
    MUST(write(fd, "done", 4));
    MUST(waitpid(child, &status, 0));
    SHOW(WEXITSTATUS(status));
    char byte;
    SHOW(read(fd, &byte, 1));
    SHOW(send(fd, "x", 1, MSG_NOSIGNAL));
    MUST(close(fd));
    MUST(close(listener));
    MUST(unlink("server"));
    MUST(unlink("client"));
}

int main(void)
{
    serve(SOCK_STREAM);
    serve(SOCK_SEQPACKET);
    return guest_status();
}
