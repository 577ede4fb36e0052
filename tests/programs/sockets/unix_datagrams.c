// Named datagram sockets: addresses, credentials and descriptors between processes.
#include "unix.h"

static void child(pid_t parent)
{
    int one = 1, fd = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(unix_bind(fd, "child"));
    MUST(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    MUST(unix_connect(fd, "parent"));
    MUST(write(fd, "hello", 5));
    struct unix_message got = unix_receive(fd);
    printf("%s from %s with %d\n", got.content, got.from, got.count);
    CHECK(got.has_sender && got.sender.pid == parent);
    if (CHECK(got.count == 1))
        MUST(write(got.fds[0], "by the child", 12));
    MUST(write(fd, "written", 7));
    fflush(stdout);
    _exit(guest_status());
}

int main(void)
{
    char content[16] = "";
    int status, fd = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(unix_bind(fd, "parent"));
    int file = MUST(open("file", O_CREAT | O_RDWR, 0644));
    pid_t parent = getpid(), process = MUST(fork());
    if (process == 0)
        child(parent);
    struct pollfd one = {fd, POLLIN, 0};
    MUST(poll(&one, 1, 10000));
    struct unix_message got = unix_receive(fd);
    printf("%s from %s\n", got.content, got.from);
    MUST(unix_send(fd, "a file", "child", &file, 1));
    got = unix_receive(fd);
    printf("%s from %s\n", got.content, got.from);
    SHOW(pread(file, content, sizeof content, 0));
    printf("%s\n", content);
    MUST(waitpid(process, &status, 0));
    SHOW(WEXITSTATUS(status));
    SHOW(unix_send(fd, "x", "child", NULL, 0));

    // Unnamed senders, bounds, and a receiver that goes away.
    int sender = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    SHOW(write(sender, "x", 1));
    MUST(unix_connect(sender, "parent"));
    struct sockaddr_un name = {0};
    socklen_t size = sizeof name;
    MUST(getpeername(sender, (struct sockaddr *)&name, &size));
    printf("%s\n", name.sun_path);
    SHOW(write(sender, "four", 4));
    SHOW(write(sender, "", 0));
    SHOW(recv(fd, content, 2, MSG_TRUNC | MSG_PEEK));
    SHOW(recv(fd, content, 2, 0));
    got = unix_receive(fd);
    printf("%zd '%s'\n", got.length, got.from);
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    SHOW(recv(fd, content, 2, 0));
    int rights[2];
    MUST(pipe(rights));
    SHOW(unix_send(sender, "lost", NULL, &rights[1], 1));
    MUST(close(rights[1]));
    MUST(close(fd));
    // The descriptor went with the message that nobody will read.
    SHOW(read(rights[0], content, 1));
    SHOW(write(sender, "x", 1));
    int stream = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    int other = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(unix_bind(other, "other"));
    SHOW(unix_connect(stream, "other"));
    MUST(unix_bind(stream, "stream"));
    MUST(listen(stream, 1));
    SHOW(unix_connect(other, "stream"));
    SHOW(unix_connect(other, "other"));
    SHOW(write(other, "self", 4));
    SHOW(recv(other, content, sizeof content, 0));
    return guest_status();
}
