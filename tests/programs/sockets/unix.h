// Unix sockets by name, and what goes along with their messages.
#ifndef UNIX_H
#define UNIX_H

#include "../guest.h"
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

union unix_control {
    struct cmsghdr header;
    char room[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

struct unix_message {
    char content[32];
    ssize_t length;
    int fds[4], count;
    bool has_sender;
    struct ucred sender;
    char from[32];
};

static inline struct sockaddr_un unix_name(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    return name;
}

static inline int unix_call(int (*call)(int, const struct sockaddr *, socklen_t), int fd, const char *path)
{
    struct sockaddr_un name = unix_name(path);
    return call(fd, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static inline int unix_bind(int fd, const char *path)
{
    return unix_call(bind, fd, path);
}

static inline int unix_connect(int fd, const char *path)
{
    return unix_call(connect, fd, path);
}

static inline ssize_t unix_send(int fd, const char *text, const char *path, const int *fds, int count)
{
    struct sockaddr_un name = unix_name(path ? path : "");
    union unix_control control = {.header = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec body = {(void *)text, strlen(text)};
    struct msghdr message = {path ? &name : NULL, path ? sizeof name : 0, &body, 1, NULL, 0, 0};
    if (count) {
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    return sendmsg(fd, &message, 0);
}

static inline struct unix_message unix_receive(int fd)
{
    struct unix_message got = {0};
    struct sockaddr_un from = {0};
    union unix_control control;
    struct iovec body = {got.content, sizeof got.content - 1};
    struct msghdr message = {&from, sizeof from, &body, 1, &control, sizeof control, 0};
    got.length = recvmsg(fd, &message, 0);
    if (got.length < 0)
        return got;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    for (; header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == SCM_RIGHTS) {
            got.count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(got.fds, CMSG_DATA(header), got.count * sizeof(int));
        } else if (header->cmsg_type == SCM_CREDENTIALS) {
            got.has_sender = true;
            memcpy(&got.sender, CMSG_DATA(header), sizeof got.sender);
        }
    }
    if (message.msg_namelen > offsetof(struct sockaddr_un, sun_path))
        snprintf(got.from, sizeof got.from, "%.30s", from.sun_path);
    return got;
}

static inline pid_t unix_peer(int fd)
{
    struct ucred who = {0};
    socklen_t size = sizeof who;
    MUST(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size));
    return who.pid;
}

#endif
