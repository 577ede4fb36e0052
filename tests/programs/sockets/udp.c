// UDP: datagrams keep their bounds, tell their sender, and are cut off when too long.
#include "loopback.h"
#include <sys/ioctl.h>

int main(void)
{
    char content[16] = "";
    address a, b, from;
    socklen_t size = sizeof from;
    int one = bound_socket(SOCK_DGRAM, &a), two = bound_socket(SOCK_DGRAM, &b), available;
    SHOW(sendto(one, "first", 5, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(sendto(one, "", 0, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(sendto(one, "0123456789", 10, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(recvfrom(two, content, sizeof content, MSG_PEEK, (struct sockaddr *)&from, &size));
    SHOW(ioctl(two, FIONREAD, &available));
    SHOW(available);
    SHOW(recvfrom(two, content, sizeof content, 0, (struct sockaddr *)&from, &size));
    CHECK(memcmp(&from, &a, sizeof a) == 0);
    SHOW(recv(two, content, sizeof content, 0));
    SHOW(recv(two, content, 4, MSG_TRUNC));
    SHOW(recv(two, content, 4, MSG_DONTWAIT));

    // Connected: no address to give, and only the peer's datagrams arrive.
    SHOW(send(one, "x", 1, 0));
    SHOW(connect_to(one, &b));
    SHOW(send(one, "hello", 5, 0));
    SHOW(recv(two, content, sizeof content, 0));
    address c;
    int three = bound_socket(SOCK_DGRAM, &c);
    SHOW(sendto(three, "stranger", 8, 0, (struct sockaddr *)&a, sizeof a));
    SHOW(sendto(two, "peer", 4, 0, (struct sockaddr *)&a, sizeof a));
    SHOW(recv(one, content, sizeof content, 0));
    printf("%.4s\n", content);
    SHOW(recv(one, content, sizeof content, MSG_DONTWAIT));
    // AF_UNSPEC takes the peer away again.
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    SHOW(connect(one, &none, sizeof none));
    SHOW(send(one, "x", 1, 0));
    SHOW(listen(one, 1));
    return guest_status();
}
