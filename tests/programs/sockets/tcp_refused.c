// Blocking connects: refused, repeated, to a socket that does not listen.
#include "loopback.h"

int main(void)
{
    address where, closed;
    int fd = bound_socket(SOCK_STREAM, &closed), client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    // Bound but not listening refuses too.
    SHOW(connect_to(client, &closed));
    MUST(close(fd));
    SHOW(connect_to(client, &closed));

    // A refused socket can try again elsewhere.
    int listener = listening_socket(0, &where);
    SHOW(connect_to(client, &where));
    SHOW(connect_to(client, &where));
    SHOW(connect_to(listener, &where));
    SHOW(bind(client, (struct sockaddr *)&where, sizeof where));
    int other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(bind(other, (struct sockaddr *)&where, sizeof where));
    SHOW(accept(other, NULL, NULL));
    SHOW(connect(other, (struct sockaddr *)&where, 4));
    SHOW(connect(other, guest_bad_pointer(), sizeof where));
    where.sin_family = 99;
    SHOW(connect_to(other, &where));
    return guest_status();
}
