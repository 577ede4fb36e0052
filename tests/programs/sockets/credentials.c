// SO_PEERCRED and SCM_CREDENTIALS: the kernel tells who is on the other side.
#include "../guest.h"
#include <sys/socket.h>

int main(void)
{
    int pair[2], on = 1;
    struct ucred who = {0};
    socklen_t size = sizeof who;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
    SHOW(size);
    CHECK(who.pid == getpid() && who.uid == geteuid() && who.gid == getegid());

    char byte, room[CMSG_SPACE(sizeof who)];
    struct iovec body = {&byte, 1};
    struct msghdr message = {NULL, 0, &body, 1, room, sizeof room, 0};
    SHOW(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    SHOW(write(pair[0], "x", 1));
    SHOW(recvmsg(pair[1], &message, 0));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS);
    if (header) {
        memcpy(&who, CMSG_DATA(header), sizeof who);
        CHECK(who.pid == getpid() && who.uid == getuid() && who.gid == getgid());
    }
    return guest_status();
}
