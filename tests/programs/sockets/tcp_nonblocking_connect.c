// A connect that does not wait: EINPROGRESS, then writable, then SO_ERROR.
#include "loopback.h"
#include <poll.h>

static void try(const address *where)
{
    int error = -1, fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    socklen_t size = sizeof error;
    // Loopback may also answer at once.
    int result = connect_to(fd, where), first = errno;
    CHECK(result == 0 || first == EINPROGRESS || first == ECONNREFUSED);
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    SHOW(poll(&poller, 1, -1));
    CHECK(poller.revents & POLLOUT);
    MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    if (result == -1 && first == ECONNREFUSED)
        error = first;
    printf("error: %s hup=%d\n", guest_error_name(error), !!(poller.revents & POLLHUP));
    MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    SHOW(error);
    if (poller.revents == POLLOUT)
        SHOW(connect_to(fd, where));
    MUST(close(fd));
}

int main(void)
{
    address where;
    int listener = listening_socket(0, &where);
    try(&where);
    MUST(close(listener));
    try(&where);
    return guest_status();
}
