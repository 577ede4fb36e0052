// Buffers that the program may not write to: what a receiving call leaves for the next one.
#include "loopback.h"
#include <sys/uio.h>

// Receives in each way into a hole, and into the end of a page that a hole follows; then all that is left.
static void receive(const char *kind, int to, int from, char *page)
{
    char content[32], *end = page + 4096 - 4;
    struct iovec parts[] = {{content, 2}, {guest_bad_pointer(), 8}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    printf("%s\n", kind);
    MUST(write(to, "0123456789", 10));
    SHOW(recv(from, guest_bad_pointer(), 10, 0));
    SHOW(recv(from, guest_bad_pointer(), 10, MSG_PEEK));
    SHOW(recv(from, end, 10, 0));
    SHOW(recvmsg(from, &message, 0));
    SHOW(read(from, guest_bad_pointer(), 10));
    SHOW(read(from, end, 10));
    SHOW(recv(from, end, 4, MSG_DONTWAIT));
    memset(content, '.', sizeof content);
    SHOW(recv(from, content, sizeof content, MSG_DONTWAIT));
    printf("%.10s\n", content);
    SHOW(recv(from, guest_bad_pointer(), 10, MSG_DONTWAIT));
}

int main(void)
{
    int pair[2];
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(munmap(page + 4096, 4096));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    receive("a pair", pair[0], pair[1], page);
    tcp_pair(pair);
    receive("a connection", pair[0], pair[1], page);
    MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
    receive("datagrams", pair[0], pair[1], page);
    return guest_status();
}
