// poll on pipes and a file: what each state reports, asked for or not.
#include "../guest.h"
#include <poll.h>

static void print(const char *state, int fd, short events)
{
    struct pollfd poller = {.fd = fd, .events = events, .revents = -1};
    long ready = MUST(poll(&poller, 1, 0));
    printf("%s: ready=%ld in=%d out=%d hup=%d err=%d nval=%d\n", state, ready,
           !!(poller.revents & POLLIN), !!(poller.revents & POLLOUT), !!(poller.revents & POLLHUP),
           !!(poller.revents & POLLERR), !!(poller.revents & POLLNVAL));
}

int main(void)
{
    static char block[65536];
    int ends[2];
    MUST(pipe(ends));
    print("empty, read end", ends[0], POLLIN);
    print("empty, write end", ends[1], POLLOUT);
    print("write end asked to read", ends[1], POLLIN);
    MUST(write(ends[1], block, sizeof block));
    print("full, read end", ends[0], POLLIN | POLLRDNORM);
    print("full, write end", ends[1], POLLOUT);
    MUST(close(ends[1]));
    print("writers gone, data left", ends[0], POLLIN);
    MUST(read(ends[0], block, sizeof block));
    print("writers gone, empty", ends[0], POLLIN);
    print("writers gone, nothing asked", ends[0], 0);
    MUST(close(ends[0]));
    print("closed", ends[0], POLLIN);
    print("negative", -1, POLLIN);

    MUST(pipe(ends));
    MUST(close(ends[0]));
    print("readers gone", ends[1], POLLOUT);
    print("readers gone, nothing asked", ends[1], 0);
    print("file", MUST(open("file", O_CREAT | O_RDWR, 0644)), POLLIN | POLLOUT);
    print("directory", MUST(open(".", O_RDONLY)), POLLIN);
    return guest_status();
}
