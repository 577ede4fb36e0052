// Ancillary data of datagrams: hop limits and traffic classes, sent and received, cut off where there is no room.
#include "loopback.h"

static int receiver, sender;
static struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
static address four;

static void show_messages(const char *title, size_t room, int flags)
{
    char content[16], control[256] = "";
    struct iovec vector = {content, sizeof content};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
    ssize_t count = recvmsg(receiver, &message, flags);
    printf("%s: %zd bytes%s, %zu of control:", title, count, message.msg_flags & MSG_CTRUNC ? ", cut off" : "",
           message.msg_controllen);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        int value = 0;
        size_t length = header->cmsg_len - CMSG_LEN(0);
        memcpy(&value, CMSG_DATA(header), length < 4 ? length : 4);
        printf(" %d/%d %zu bytes", header->cmsg_level, header->cmsg_type, length);
        if (length == 4 || length == 1)
            printf(" %d", value);
    }
    puts("");
}

static long send_with(const void *to, socklen_t size, int level, int kind, int value, size_t length)
{
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec vector = {"hello", 5};
    struct msghdr message = {.msg_name = (void *)to, .msg_namelen = size, .msg_iov = &vector, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = CMSG_SPACE(length)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = kind;
    header->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(header), &value, length);
    return sendmsg(sender, &message, 0);
}

static void six_options(void)
{
    socklen_t size = sizeof six;
    int on = 1, value = 0;
    receiver = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
    sender = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
    MUST(bind(receiver, (struct sockaddr *)&six, size));
    MUST(getsockname(receiver, (struct sockaddr *)&six, &size));
    MUST(sendto(sender, "none", 4, 0, (struct sockaddr *)&six, size));
    show_messages("not asked for", 256, 0);
    SHOW(setsockopt(receiver, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on));
    SHOW(setsockopt(receiver, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on));
    SHOW(getsockopt(receiver, IPPROTO_IPV6, IPV6_RECVTCLASS, &value, &(socklen_t){sizeof value}));
    SHOW(value);
    SHOW(send_with(&six, size, IPPROTO_IPV6, IPV6_HOPLIMIT, 7, sizeof(int)));
    show_messages("peeked at", 256, MSG_PEEK);
    show_messages("hop limit", 256, 0);
    SHOW(send_with(&six, size, IPPROTO_IPV6, IPV6_TCLASS, 0x20, sizeof(int)));
    show_messages("traffic class", 256, 0);
    for (size_t room = 0; room <= 48; room += 8) {
        MUST(sendto(sender, "room", 4, 0, (struct sockaddr *)&six, size));
        show_messages("room", room, 0);
    }
    SHOW(send_with(&six, size, IPPROTO_IPV6, IPV6_HOPLIMIT, 300, sizeof(int)));
    SHOW(send_with(&six, size, IPPROTO_IPV6, IPV6_HOPLIMIT, 7, 1));
    SHOW(send_with(&six, size, IPPROTO_IPV6, 200, 7, sizeof(int)));
}

int main(void)
{
    int on = 1;
    six_options();
    receiver = bound_socket(SOCK_DGRAM, &four);
    sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    SHOW(setsockopt(receiver, IPPROTO_IP, IP_RECVTTL, &on, sizeof on));
    SHOW(setsockopt(receiver, IPPROTO_IP, IP_RECVTOS, &on, sizeof on));
    SHOW(send_with(&four, sizeof four, IPPROTO_IP, IP_TTL, 9, sizeof(int)));
    show_messages("time to live", 256, 0);
    SHOW(send_with(&four, sizeof four, IPPROTO_IP, IP_TOS, 8, sizeof(int)));
    show_messages("type of service", 256, 0);
    SHOW(send_with(&four, sizeof four, IPPROTO_IP, IP_TOS, 4, 1));
    show_messages("in one byte", 256, 0);
    SHOW(send_with(&four, sizeof four, IPPROTO_IP, IP_TTL, 0, sizeof(int)));
    SHOW(send_with(&four, sizeof four, IPPROTO_IP, IP_TTL, 9, 2));
    return guest_status();
}
