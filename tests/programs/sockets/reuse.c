// Who may bind a port: SO_REUSEADDR, SO_REUSEPORT, a port just closed.
#include "loopback.h"

static int try_to_bind(const address *where, int option)
{
    int on = 1, fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    if (option)
        MUST(setsockopt(fd, SOL_SOCKET, option, &on, sizeof on));
    int result = bind(fd, (const struct sockaddr *)where, sizeof *where);
    int error = errno;
    if (result == 0)
        result = listen(fd, 1), error = errno;
    close(fd);
    errno = error;
    return result;
}

int main(void)
{
    address where;
    int on = 1, fd = bound_socket(SOCK_STREAM, &where);
    SHOW(try_to_bind(&where, 0));
    SHOW(try_to_bind(&where, SO_REUSEADDR));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    MUST(listen(fd, 1));
    SHOW(try_to_bind(&where, SO_REUSEADDR));
    MUST(close(fd));
    SHOW(try_to_bind(&where, 0));

    // SO_REUSEPORT works when both have it.
    fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
    MUST(bind(fd, (struct sockaddr *)&where, sizeof where));
    MUST(listen(fd, 1));
    SHOW(try_to_bind(&where, 0));
    SHOW(try_to_bind(&where, SO_REUSEPORT));
    return guest_status();
}
