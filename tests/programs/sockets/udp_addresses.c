// recvfrom's address: cut off to the buffer, its true size told; none for a stream.
#include "loopback.h"

int main(void)
{
    char byte;
    address a, b, from;
    int one = bound_socket(SOCK_DGRAM, &a), two = bound_socket(SOCK_DGRAM, &b), pair[2];
    for (socklen_t given = 0; given <= 20; given += 4) {
        socklen_t size = given;
        struct { address first; char rest[8]; } room;
        memset(&room, 0xee, sizeof room);
        MUST(sendto(one, "x", 1, 0, (struct sockaddr *)&b, sizeof b));
        MUST(recvfrom(two, &byte, 1, 0, (struct sockaddr *)&room, &size));
        unsigned char *bytes = (unsigned char *)&room;
        socklen_t stored = given < sizeof a ? given : sizeof a;
        printf("given=%u told=%u ", given, size);
        CHECK(memcmp(bytes, &a, stored) == 0 && bytes[stored] == 0xee);
    }
    socklen_t size = sizeof from;
    MUST(sendto(one, "x", 1, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(recvfrom(two, &byte, 1, 0, (struct sockaddr *)&from, NULL));
    MUST(sendto(one, "x", 1, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(recvfrom(two, &byte, 1, 0, NULL, &size));

    tcp_pair(pair);
    MUST(send(pair[0], "x", 1, 0));
    SHOW(recvfrom(pair[1], &byte, 1, 0, (struct sockaddr *)&from, &size));
    SHOW(size);
    SHOW(sendto(pair[0], "x", 1, 0, (struct sockaddr *)&b, sizeof b));
    SHOW(sendto(one, "x", 1, 0, (struct sockaddr *)&b, 8));
    SHOW(sendto(one, "x", 1, 0, guest_bad_pointer(), sizeof b));
    SHOW(sendto(one, guest_bad_pointer(), 1, 0, (struct sockaddr *)&b, sizeof b));
    b.sin_port = 0;
    SHOW(sendto(one, "x", 1, 0, (struct sockaddr *)&b, sizeof b));
    return guest_status();
}
