// getsockname, getpeername: who is who, before and after connecting; short buffers.
#include "loopback.h"

int main(void)
{
    address where, local, peer, accepted;
    socklen_t size = sizeof local;
    int listener = listening_socket(0, &where), client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    CHECK(where.sin_port != 0 && where.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    MUST(getsockname(client, (struct sockaddr *)&local, &size));
    CHECK(local.sin_port == 0 && local.sin_addr.s_addr == 0 && local.sin_family == AF_INET);
    SHOW(getpeername(client, (struct sockaddr *)&peer, &size));
    SHOW(getpeername(listener, (struct sockaddr *)&peer, &size));

    MUST(connect_to(client, &where));
    int server = MUST(accept(listener, (struct sockaddr *)&accepted, &size));
    SHOW(size);
    MUST(getsockname(client, (struct sockaddr *)&local, &size));
    MUST(getpeername(client, (struct sockaddr *)&peer, &size));
    CHECK(memcmp(&peer, &where, sizeof peer) == 0);
    CHECK(memcmp(&accepted, &local, sizeof local) == 0);
    MUST(getpeername(server, (struct sockaddr *)&peer, &size));
    CHECK(memcmp(&peer, &local, sizeof peer) == 0);
    MUST(getsockname(server, (struct sockaddr *)&peer, &size));
    CHECK(memcmp(&peer, &where, sizeof peer) == 0);

    // A short buffer gets what fits, and the size tells how much there was.
    memset(&peer, 0xff, sizeof peer);
    size = 4;
    SHOW(getpeername(client, (struct sockaddr *)&peer, &size));
    SHOW(size);
    CHECK(peer.sin_port == where.sin_port && peer.sin_addr.s_addr == 0xffffffff);
    size = 0;
    SHOW(getsockname(client, (struct sockaddr *)&peer, &size));
    SHOW(size);
    size = -1;
    SHOW(getsockname(client, (struct sockaddr *)&peer, &size));
    SHOW(getsockname(0, (struct sockaddr *)&peer, &size));
    SHOW(getsockname(99, (struct sockaddr *)&peer, &size));
    return guest_status();
}
