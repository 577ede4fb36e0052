// UDP-Lite: as UDP, with checksums that cover a part. (Plain UDP where the kernel no longer has it.)
#include "loopback.h"

#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11

int main(void)
{
    char content[16] = "";
    int coverage = 0;
    socklen_t size = sizeof coverage;
    address a = any_port(), b = any_port(), from;
    socklen_t length = sizeof from;
    int one = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), two;
    bool lite = one != -1;
    if (!lite)
        one = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    two = MUST(socket(AF_INET, SOCK_DGRAM, lite ? IPPROTO_UDPLITE : 0));
    MUST(bind(one, (struct sockaddr *)&a, sizeof a));
    MUST(bind(two, (struct sockaddr *)&b, sizeof b));
    MUST(getsockname(one, (struct sockaddr *)&a, &length));
    MUST(getsockname(two, (struct sockaddr *)&b, &length));
    SHOW(sendto(one, "first", 5, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(recvfrom(two, content, sizeof content, 0, (struct sockaddr *)&from, &length));
    CHECK(from.sin_port == a.sin_port);
    CHECK(!lite || setsockopt(one, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &(int){12}, 4) == 0);
    CHECK(!lite || setsockopt(two, IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV, &(int){8}, 4) == 0);
    CHECK(!lite || getsockopt(one, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &coverage, &size) == 0);
    CHECK(!lite || coverage == 12);
    CHECK(!lite || (getsockopt(one, SOL_SOCKET, SO_PROTOCOL, &coverage, &size) == 0 && coverage == 136));
    SHOW(sendto(one, "partly", 6, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(recv(two, content, sizeof content, 0));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDPLITE));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    return guest_status();
}
