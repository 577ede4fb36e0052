// Pipes between processes: both ways, end of file, a full pipe, SIGPIPE.
#include "../guest.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

int main(void)
{
    int there[2], back[2], status;
    MUST(pipe(there));
    MUST(pipe(back));
    pid_t child = MUST(fork());
    if (child == 0) {
        close(there[1]);
        close(back[0]);
        char byte;
        while (read(there[0], &byte, 1) == 1) {
            byte ^= 0x20;
            MUST(write(back[1], &byte, 1));
        }
        _exit(5);
    }
    close(there[0]);
    close(back[1]);
    char text[16] = {0};
    for (int i = 0; i < 5; i++) {
        MUST(write(there[1], &"hello"[i], 1));
        MUST(read(back[0], text + i, 1));
    }
    printf("%s\n", text);
    close(there[1]);
    SHOW(read(back[0], text, 1));
    MUST(waitpid(child, &status, 0));
    printf("status %d\n", WEXITSTATUS(status));

    // More than a pipe holds.
    MUST(pipe(there));
    child = MUST(fork());
    if (child == 0) {
        static char block[70000];
        close(there[0]);
        for (int i = 0; i < 10; i++)
            MUST(write(there[1], block, sizeof block));
        _exit(0);
    }
    close(there[1]);
    static char buffer[4096];
    long total = 0, got;
    while ((got = read(there[0], buffer, sizeof buffer)) > 0)
        total += got;
    printf("%ld bytes\n", total);
    MUST(waitpid(child, &status, 0));

    MUST(pipe(there));
    child = MUST(fork());
    if (child == 0) {
        close(there[0]);
        struct pollfd set = {.fd = there[1]};
        poll(&set, 1, -1);
        write(there[1], "x", 1);
        _exit(0);
    }
    close(there[0]);
    MUST(waitpid(child, &status, 0));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);

    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    child = MUST(fork());
    if (child == 0) {
        close(pair[0]);
        long size = recv(pair[1], text, sizeof text, 0);
        MUST(send(pair[1], text, size, 0));
        _exit(0);
    }
    close(pair[1]);
    MUST(send(pair[0], "across", 6, 0));
    SHOW(recv(pair[0], text, sizeof text, 0));
    SHOW(recv(pair[0], text, sizeof text, 0));
    MUST(waitpid(child, &status, 0));
    return guest_status();
}
