// sendmsg, recvmsg, sendmmsg, recvmmsg: scattered buffers, flags, addresses.
#include "loopback.h"

int main(void)
{
    address a, b, from;
    int one = bound_socket(SOCK_DGRAM, &a), two = bound_socket(SOCK_DGRAM, &b);
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
    struct msghdr send = {&b, sizeof b, out, 3, NULL, 0, 0};
    SHOW(sendmsg(one, &send, 0));
    SHOW(sendmsg(one, &send, 0));
    char first[4] = "", second[8] = "";
    struct iovec in[2] = {{first, 3}, {second, 7}};
    struct msghdr receive = {&from, sizeof from, in, 2, NULL, 0, -1};
    SHOW(recvmsg(two, &receive, 0));
    printf("%s %s\n", first, second);
    SHOW(receive.msg_flags);
    SHOW(receive.msg_namelen);
    CHECK(memcmp(&from, &a, sizeof a) == 0);
    SHOW(receive.msg_controllen);
    receive.msg_iovlen = 1;
    SHOW(recvmsg(two, &receive, 0));
    CHECK(receive.msg_flags == MSG_TRUNC);

    struct mmsghdr many[3] = {{send, 0}, {send, 0}, {send, 0}};
    SHOW(sendmmsg(one, many, 3, 0));
    SHOW(many[2].msg_len);
    receive.msg_iovlen = 2;
    receive.msg_name = NULL;
    struct mmsghdr got[3] = {{receive, 0}, {receive, 0}, {receive, 0}};
    SHOW(recvmmsg(two, got, 3, 0, NULL));
    SHOW(got[2].msg_len);
    SHOW(recvmmsg(two, got, 3, MSG_DONTWAIT, NULL));

    // Over a stream, several buffers are one run of bytes.
    int pair[2];
    tcp_pair(pair);
    struct msghdr stream = {NULL, 0, out, 3, NULL, 0, 0};
    SHOW(sendmsg(pair[0], &stream, 0));
    struct msghdr part = {NULL, 0, in, 1, NULL, 0, -1};
    SHOW(recvmsg(pair[1], &part, MSG_WAITALL));
    SHOW(part.msg_flags & MSG_TRUNC);
    SHOW(recvmsg(pair[1], &part, 0));
    send.msg_iovlen = 1025;
    SHOW(sendmsg(one, &send, 0));
    SHOW(sendmsg(one, guest_bad_pointer(), 0));
    SHOW(recvmsg(two, guest_bad_pointer(), MSG_DONTWAIT));
    return guest_status();
}
