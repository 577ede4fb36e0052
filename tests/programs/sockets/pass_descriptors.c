// SCM_RIGHTS: descriptors arrive as new numbers for the same open files.
#include "../guest.h"
#include <sys/socket.h>

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(4 * sizeof(int))];
};

static long send_descriptors(int socket, const int *fds, int count)
{
    union control control = {.header = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    struct iovec body = {"x", 1};
    struct msghdr message = {NULL, 0, &body, 1, &control, CMSG_SPACE(count * sizeof(int)), 0};
    return sendmsg(socket, &message, 0);
}

// Receives with room for so many descriptors, and returns how many came.
static long receive_descriptors(int socket, int *fds, int room, int flags)
{
    union control control;
    char byte;
    struct iovec body = {&byte, 1};
    struct msghdr message = {NULL, 0, &body, 1, &control, CMSG_LEN(room * sizeof(int)), 0};
    MUST(recvmsg(socket, &message, flags));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int count = header ? (header->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    printf("truncated=%d cloexec=%d\n", !!(message.msg_flags & MSG_CTRUNC),
           !!(message.msg_flags & MSG_CMSG_CLOEXEC));
    if (count)
        memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    return count;
}

int main(void)
{
    int pair[2], ends[2], got[4], file = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(pipe(ends));
    MUST(write(file, "0123456789", 10));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SHOW(send_descriptors(pair[0], (int[]){file, ends[1]}, 2));
    SHOW(receive_descriptors(pair[1], got, 4, 0));
    CHECK(got[0] != file && got[1] != ends[1]);
    SHOW(lseek(file, 3, SEEK_SET));
    SHOW(lseek(got[0], 0, SEEK_CUR));
    SHOW(fcntl(got[0], F_GETFD));

    // A descriptor under way keeps its file open.
    char content[8];
    MUST(close(got[1]));
    SHOW(send_descriptors(pair[0], &ends[1], 1));
    MUST(close(ends[1]));
    SHOW(receive_descriptors(pair[1], got, 4, MSG_CMSG_CLOEXEC));
    SHOW(fcntl(got[0], F_GETFD));
    SHOW(write(got[0], "through", 7));
    MUST(close(got[0]));
    SHOW(read(ends[0], content, sizeof content));
    SHOW(read(ends[0], content, sizeof content));

    // What does not fit is closed, not kept.
    SHOW(send_descriptors(pair[0], (int[]){file, file, file}, 3));
    SHOW(receive_descriptors(pair[1], got, 1, 0));
    SHOW(send_descriptors(pair[0], &file, 1));
    SHOW(recv(pair[1], content, 1, 0));
    SHOW(send_descriptors(pair[0], (int[]){99}, 1));
    return guest_status();
}
