// UDP: the error queue tells which datagram was refused, by whom and why; UDP_SEGMENT cuts one message into datagrams.
#include "loopback.h"
#include <linux/errqueue.h>
#include <poll.h>

#define UDP_SEGMENT 103

static void show_error(int fd)
{
    char content[16] = "", control[256] = "";
    address to;
    struct iovec vector = {content, sizeof content};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &vector, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    SHOW(recvmsg(fd, &message, MSG_ERRQUEUE));
    SHOW(message.msg_flags & MSG_ERRQUEUE);
    printf("%s, control %zu\n", content, message.msg_controllen);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header && header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR);
    if (header) {
        struct sock_extended_err *error = (struct sock_extended_err *)CMSG_DATA(header);
        address *offender = (address *)SO_EE_OFFENDER(error);
        printf("%s, origin %d, type %d, code %d\n", guest_error_name((int)error->ee_errno), error->ee_origin,
               error->ee_type, error->ee_code);
        CHECK(offender->sin_family == AF_INET && offender->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    }
}

int main(void)
{
    int on = 1;
    address nobody, where;
    int gone = bound_socket(SOCK_DGRAM, &nobody), fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    char content[16];
    MUST(close(gone));
    SHOW(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
    SHOW(sendto(fd, "refused", 7, 0, (struct sockaddr *)&nobody, sizeof nobody));
    struct pollfd wait = {fd, 0, 0};
    SHOW(poll(&wait, 1, -1));
    CHECK(wait.revents == POLLERR);
    show_error(fd);
    SHOW(recvmsg(fd, &(struct msghdr){0}, MSG_ERRQUEUE));

    int receiver = bound_socket(SOCK_DGRAM, &where), sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    char control[CMSG_SPACE(sizeof(uint16_t))] = "";
    struct iovec vector = {"abcdefgh", 8};
    struct msghdr message = {.msg_name = &where, .msg_namelen = sizeof where, .msg_iov = &vector, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){CMSG_LEN(sizeof(uint16_t)), IPPROTO_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(header), &(uint16_t){3}, sizeof(uint16_t));
    SHOW(sendmsg(sender, &message, 0));
    for (int i = 0; i < 3; i++)
        SHOW(recv(receiver, content, sizeof content, 0));
    return guest_status();
}
