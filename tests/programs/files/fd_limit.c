// RLIMIT_NOFILE: descriptors run out with EMFILE, at exactly the limit, for every maker.
#include "../guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

int main(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 16;
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    int last = 0, fd;
    while ((fd = dup(0)) >= 0)
        last = fd;
    SHOW(last);
    int ends[2];
    SHOW(open("file", O_CREAT | O_RDWR, 0644));
    SHOW(pipe(ends));
    SHOW(eventfd(0, 0));
    SHOW(epoll_create1(0));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(dup2(0, 16));
    SHOW(dup2(0, 15));
    SHOW(fcntl(0, F_DUPFD, 16));
    SHOW(fcntl(0, F_DUPFD, 3));
    // A pipe takes two numbers or none.
    MUST(close(7));
    SHOW(pipe(ends));
    SHOW(dup(0));
    limit.rlim_cur = 32;
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    SHOW(dup(0));
    return guest_status();
}
