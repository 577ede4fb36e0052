// Abstract unix sockets: a name without a file, gone with the socket; autobind.
#include "../guest.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
    char content[16];
    struct sockaddr_un where = {.sun_family = AF_UNIX}, name;
    // A name of this run's own: abstract names are shared by the whole network namespace.
    int length = 1 + sprintf(where.sun_path + 1, "guest-%d-%ld", (int)getpid(),
                             (long)guest_now(CLOCK_REALTIME));
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + length;
    int receiver = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    SHOW(bind(receiver, (struct sockaddr *)&where, size));
    int other = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    SHOW(bind(other, (struct sockaddr *)&where, size));
    SHOW(access(where.sun_path + 1, F_OK));
    SHOW(sendto(other, "hello", 5, 0, (struct sockaddr *)&where, size));
    socklen_t got = sizeof name;
    SHOW(recvfrom(receiver, content, sizeof content, 0, (struct sockaddr *)&name, &got));
    SHOW(got);
    got = sizeof name;
    MUST(getsockname(receiver, (struct sockaddr *)&name, &got));
    CHECK(got == size && memcmp(&name, &where, size) == 0);
    // A final NUL would be another name.
    SHOW(sendto(other, "x", 1, 0, (struct sockaddr *)&where, size + 1));

    // Binding to the family alone gives a name of five hexadecimal digits.
    SHOW(bind(other, (struct sockaddr *)&where, sizeof where.sun_family));
    got = sizeof name;
    MUST(getsockname(other, (struct sockaddr *)&name, &got));
    SHOW(got);
    CHECK(name.sun_path[0] == 0);
    MUST(close(receiver));
    SHOW(sendto(other, "x", 1, 0, (struct sockaddr *)&where, size));
    return guest_status();
}
